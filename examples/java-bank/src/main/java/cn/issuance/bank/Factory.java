package cn.issuance.bank;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericRecord;

/**
 * The bank's factory: orders, their files, what is made and handed over. The machines and the van are played: what takes
 * days takes seconds here. A real factory puts its production system in the place of `make` and `handOver`.
 */
final class Factory implements Desk {
    private static final long ACCEPT_AFTER = 5_000;
    private static final long MAKE_AFTER = 1_000;
    private static final long HAND_OVER_AFTER = 1_000;
    /** A plastic that is asked to be cancelled or destroyed. */
    private static final String STOPPED = "(EXISTS (SELECT * FROM request r WHERE (r.card_ref, r.attempt)"
            + " = (plastic.card_ref, plastic.attempt) AND r.request IN ('CANCEL', 'DESTROY'))"
            + " OR EXISTS (SELECT * FROM job j WHERE j.job_id = plastic.job_id AND j.cancelled = 1))";
    private final Settings settings;
    private final Store store;
    private final Reports reports;
    private final JobFile files;
    private final String carrier;

    Factory(Settings settings, Store store, Reports reports, JobFile files, String carrier) {
        this.settings = settings;
        this.store = store;
        this.reports = reports;
        this.files = files;
        this.carrier = carrier;
    }

    @Override
    public String[] families() {
        return new String[] {"card-jobs"};
    }

    /** An order or a cancel. A cancel is final for its job, whichever comes first; an order that comes again is known. */
    @Override
    public void hear(GenericRecord message) throws Exception {
        String jobId = message.get("job_id").toString();
        store.execute("INSERT OR IGNORE INTO job (job_id, state) VALUES (?, 'NEW')", jobId);
        switch (message.get("action").toString()) {
            case "CANCEL" -> store.execute("UPDATE job SET cancelled = 1 WHERE job_id = ?", jobId);
            case "ORDER" -> {
                if (store.number("SELECT count(*) FROM job WHERE job_id = ? AND state = 'NEW'", jobId) == 1) {
                    receive(jobId, message);
                }
            }
            default -> Main.log(settings, "action unknown: " + message.get("action"));
        }
    }

    private void receive(String jobId, GenericRecord order) throws Exception {
        String state = "RECEIVED";
        try {
            List<GenericRecord> records = files.open(order);
            for (GenericRecord record : records) {
                // Here the record goes to the machines. What is kept carries no personal data.
                store.execute("INSERT INTO plastic (card_ref, attempt, job_id, method, place, pack, state)"
                        + " VALUES (?, ?, ?, ?, ?, ?, 'ORDERED')", text(record, "card_ref"), record.get("attempt"), jobId,
                        text(record, "collection_method"), text(record, "place"), text(record, "pack"));
            }
            reports.tellJob(jobId, Map.of("card_count", records.size(), "hash_total", text(order, "hash_total"),
                    "sha256", text(order, "sha256")), Item.job("JOB_RECEIVED"));
        } catch (JobFile.NotAsOrdered error) {
            Main.log(settings, jobId + " is not as ordered: " + error.getMessage());
            state = "UNREADABLE";
        }
        store.execute("UPDATE job SET state = ?, due = ? WHERE job_id = ?",
                state, System.currentTimeMillis() + ACCEPT_AFTER, jobId);
    }

    @Override
    public void asked(String request, String cardRef, int attempt) {
        // what is asked is in the store; `act` sees to it when the plastic is there
    }

    /** A letter came back. */
    @Override
    public void brought(JsonNode slip) throws Exception {
        store.execute("UPDATE plastic SET state = 'RETURNED' WHERE (card_ref, attempt) = (?, ?)",
                slip.get("card_ref").asText(), slip.get("attempt").asInt());
    }

    @Override
    public void act(long now) throws Exception {
        for (Map<String, Object> job : store.rows(
                "SELECT * FROM job WHERE state IN ('RECEIVED', 'UNREADABLE') AND due <= ?", now)) {
            answer(job, now);
        }
        make(now);
        handOutAgain(now);
        handOver(now);
        destroy();
    }

    /** Refuse a job as a whole, or accept it but for the plastics that are cancelled by now. */
    private void answer(Map<String, Object> job, long now) throws Exception {
        String jobId = (String) job.get("job_id");
        boolean cancelled = job.get("cancelled").equals(1);
        if (cancelled || job.get("state").equals("UNREADABLE")) {
            reports.tellJob(jobId, Map.of(), Item.job("JOB_REFUSED", "reason", cancelled ? "CANCELLED" : "DATA_UNREADABLE"));
            store.execute("UPDATE plastic SET state = 'REFUSED' WHERE job_id = ?", jobId);
        } else {
            refuseStopped("job_id = ? AND state = 'ORDERED'", jobId);
            reports.tellJob(jobId, Map.of(), Item.job("JOB_ACCEPTED"));
            store.execute("UPDATE plastic SET state = 'ACCEPTED', due = ? WHERE job_id = ? AND state = 'ORDERED'",
                    now + MAKE_AFTER, jobId);
        }
        store.execute("UPDATE job SET state = 'ANSWERED' WHERE job_id = ?", jobId);
    }

    private void refuseStopped(String condition, Object... values) throws Exception {
        String stopped = condition + " AND " + STOPPED;
        var plastics = store.rows("SELECT * FROM plastic WHERE " + stopped, values);
        reports.tell("production", Map.of(), plastics.stream()
                .map(plastic -> Item.of("ITEM_REFUSED", plastic, "reason", "CANCELLED")).toList());
        store.execute("UPDATE plastic SET state = 'REFUSED' WHERE " + stopped, values);
    }

    private void make(long now) throws Exception {
        refuseStopped("state = 'ACCEPTED'");
        var due = store.rows("SELECT * FROM plastic WHERE state = 'ACCEPTED' AND due <= ?", now);
        reports.tell("production", Map.of(), due.stream().map(plastic -> Item.of("MADE", plastic)).toList());
        reports.tell("production", Map.of(), due.stream().map(plastic -> Item.of("BANK_KEYED", plastic)).toList());
        // In life the plastics go to HRSS for its keys now, and come back; here they are back at once.
        store.execute("UPDATE plastic SET state = 'READY', due = ? WHERE state = 'ACCEPTED' AND due <= ?",
                now + HAND_OVER_AFTER, now);
    }

    /** A letter that is back, and is asked for, is ready again. */
    private void handOutAgain(long now) throws Exception {
        String asked = "request = 'HAND_OUT' AND answered = 0 AND (card_ref, attempt) = (plastic.card_ref, plastic.attempt)";
        store.execute("UPDATE plastic SET state = 'READY', due = ? WHERE state = 'RETURNED'"
                + " AND EXISTS (SELECT * FROM request WHERE " + asked + ")", now);
        store.execute("UPDATE request SET answered = 1 WHERE request = 'HAND_OUT' AND (card_ref, attempt) IN"
                + " (SELECT card_ref, attempt FROM plastic WHERE state = 'READY')");
    }

    /** Hand over what is ready: a bundle for each place, or pack of an employer once all of it is there; letters one by one. */
    private void handOver(long now) throws Exception {
        String ready = "state = 'READY' AND due <= " + now + " AND NOT " + STOPPED + " AND NOT EXISTS (SELECT * FROM plastic o"
                + " WHERE o.pack = plastic.pack AND o.state IN ('ORDERED', 'ACCEPTED'))";
        for (var letter : store.rows("SELECT * FROM plastic WHERE method = 'mail' AND " + ready)) {
            String number = trackingNumber(letter);
            reports.tell("production", Map.of("to_place", carrier),
                    List.of(Item.of("HANDED_OVER", letter, "tracking_no", number)));
        }
        for (var bundle : store.rows("SELECT DISTINCT job_id, method, place, pack FROM plastic WHERE method <> 'mail' AND "
                + ready)) {
            var plastics = store.rows("SELECT * FROM plastic WHERE (job_id, method, place) = (?, ?, ?) AND pack IS ? AND "
                    + ready, bundle.get("job_id"), bundle.get("method"), bundle.get("place"), bundle.get("pack"));
            String handoverId = "HO-" + settings.partner() + "-" + store.stream() + "-" + reports.nextSequence();
            reports.tell("production",
                    Map.of("handover_id", handoverId, "handover_count", plastics.size(), "to_place", bundle.get("place")),
                    plastics.stream().map(plastic -> Item.of("HANDED_OVER", plastic)).toList());
        }
        store.execute("UPDATE plastic SET state = 'GONE', trips = trips + 1 WHERE " + ready);
    }

    /** Destroy what is asked for and is here. */
    private void destroy() throws Exception {
        String asked = "state IN ('READY', 'RETURNED') AND EXISTS (SELECT * FROM request r WHERE r.request = 'DESTROY'"
                + " AND (r.card_ref, r.attempt) = (plastic.card_ref, plastic.attempt))";
        var plastics = store.rows("SELECT * FROM plastic WHERE " + asked);
        reports.tell("production", Map.of(), plastics.stream()
                .map(plastic -> Item.destroyed(settings.partner(), plastic)).toList());
        store.execute("UPDATE plastic SET state = 'DESTROYED' WHERE " + asked);
    }

    /** A number in the carrier's form (UPU S10); in life the carrier gives a range of them. Each trip has its own. */
    private static String trackingNumber(Map<String, Object> letter) {
        int seed = (letter.get("card_ref") + "/" + letter.get("attempt") + "/" + letter.get("trips")).hashCode();
        String serial = String.format("%08d", Math.floorMod(seed, 100_000_000));
        int[] weights = {8, 6, 4, 2, 3, 5, 9, 7};
        int sum = 0;
        for (int n = 0; n < 8; n++) {
            sum += weights[n] * (serial.charAt(n) - '0');
        }
        int check = 11 - sum % 11;
        return "EJ" + serial + (check == 10 ? 0 : check == 11 ? 5 : check) + "CN";
    }

    private static String text(GenericRecord record, String field) {
        Object value = record.get(field);
        return value == null ? null : value.toString();
    }
}

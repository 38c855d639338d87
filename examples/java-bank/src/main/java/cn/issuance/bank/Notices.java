package cn.issuance.bank;

import java.util.Collection;
import org.apache.avro.generic.GenericRecord;

/** The answers and requests on partner-notices. */
final class Notices {
    private final Settings settings;
    private final Store store;
    private final Reports reports;
    private final Desk desk;

    Notices(Settings settings, Store store, Reports reports, Desk desk) {
        this.settings = settings;
        this.store = store;
        this.reports = reports;
        this.desk = desk;
    }

    void hear(GenericRecord notice) throws Exception {
        switch (notice.get("kind").toString()) {
            case "APPLIED" -> { }  // our report counts
            case "REQUESTED" -> request(notice);
            case "MISSING" -> sendAgain(notice);
            // A person has to look: what was refused is corrected by another report, never by the same id.
            case "ITEM_REFUSED", "REPORT_REFUSED" -> Main.log(settings, notice.toString());
            // Nothing is lost: what we write meanwhile is read when the issuance resumes.
            case "PAUSED" -> Main.log(settings, "paused: " + notice.get("code"));
            case "KEY_ROTATION" -> Main.log(settings, "key " + notice.get("key_id") + " from " + notice.get("valid_on"));
            default -> Main.log(settings, "a kind that came later: " + notice.get("kind"));
        }
    }

    private void request(GenericRecord notice) throws Exception {
        String request = notice.get("request").toString();
        for (Object entry : (Collection<?>) notice.get("plastics")) {
            GenericRecord plastic = (GenericRecord) entry;
            String cardRef = plastic.get("card_ref").toString();
            int attempt = (Integer) plastic.get("attempt");
            if (store.isNew(notice.get("request_id") + "/" + request + "/" + cardRef + "/" + attempt)) {
                store.execute("INSERT INTO request (request, card_ref, attempt) VALUES (?, ?, ?)"
                        + " ON CONFLICT (request, card_ref, attempt) DO UPDATE SET answered = 0", request, cardRef, attempt);
                desk.asked(request, cardRef, attempt);
            }
        }
    }

    /** Sequences of our stream, chunks of a statement, the answer to a job, or a statement that never came. */
    private void sendAgain(GenericRecord notice) throws Exception {
        if (notice.get("stream") != null) {
            if (notice.get("stream").toString().equals(store.stream())) {
                reports.sendAgain("record = 'card_report' AND number BETWEEN ? AND ?", notice.get("first"), notice.get("last"));
            }
        } else if (notice.get("job_id") != null) {
            reports.sendAgain("about = ?", notice.get("job_id").toString());
        } else if (notice.get("report_id") != null && notice.get("first") != null) {
            reports.sendAgain("about = ? AND number BETWEEN ? AND ?", notice.get("report_id").toString(),
                    notice.get("first"), notice.get("last"));
        } else {
            desk.stateNow();
        }
    }
}

package cn.issuance.bank;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The bank: bundles received at its outlets, cards collected, accounts activated and cancelled, plastics destroyed. The
 * counter is played: holders come after a second. A real bank puts its counter system in the place of `visits`.
 */
final class Bank implements Desk {
    private static final long VISIT_AFTER = 1_000;
    private static final long FINANCE_AFTER = 1_000;
    private static final String STOPPED = "EXISTS (SELECT * FROM request r WHERE (r.card_ref, r.attempt)"
            + " = (plastic.card_ref, plastic.attempt) AND r.request IN ('CANCEL_ACCOUNT', 'DESTROY'))";
    private static final String OPEN = "SELECT * FROM request WHERE answered = 0 AND request = ";
    private final Settings settings;
    private final Store store;
    private final Reports reports;
    private final Statements statements;
    private final int wrongBy;

    /** `wrongBy` is added to the counts that the bank signs: a fault, to see what comes of it. */
    Bank(Settings settings, Store store, Reports reports, Statements statements, int wrongBy) {
        this.settings = settings;
        this.store = store;
        this.reports = reports;
        this.statements = statements;
        this.wrongBy = wrongBy;
    }

    @Override
    public void asked(String request, String cardRef, int attempt) {
        // what is asked is in the store; `act` sees to it
    }

    @Override
    public void stateNow() throws Exception {
        statements.draw(System.currentTimeMillis());
    }

    /** A bundle: count it, sign for it under its giver's id. A bundle of another kind is not for us. */
    @Override
    public void brought(JsonNode slip) throws Exception {
        String place = slip.get("to_place").asText();
        List<Map<String, Object>> items = new ArrayList<>();
        for (JsonNode one : slip.get("plastics")) {
            Map<String, Object> plastic = Map.of("card_ref", one.get("card_ref").asText(), "attempt", one.get("attempt").asInt());
            items.add(Item.of("RECEIVED_AT_PLACE", plastic, "place", place));
            store.execute("INSERT OR REPLACE INTO plastic (card_ref, attempt, method, place, state, due)"
                    + " VALUES (?, ?, ?, ?, 'IN_STORE', ?)", plastic.get("card_ref"), plastic.get("attempt"),
                    one.get("collection_method").asText(), place, System.currentTimeMillis() + VISIT_AFTER);
        }
        // handover_count is of the whole hand-over, the same in each message of it
        reports.tell("collection", Map.of("handover_id", slip.get("handover_id").asText(),
                "handover_count", items.size() + wrongBy), items);
    }

    @Override
    public void act(long now) throws Exception {
        visits(now);
        activations(now);
        cancelAccounts();
        destroy();
        statements.drawIfDue(now);
    }

    private void visits(long now) throws Exception {
        String due = "state = 'IN_STORE' AND due <= " + now + " AND NOT " + STOPPED;
        List<Map<String, Object>> items = new ArrayList<>();
        for (var plastic : store.rows("SELECT * FROM plastic WHERE " + due)) {
            // a reference into our own files; never a name or a number of a person
            var holder = Item.actor("HOLDER", "visit-" + plastic.get("card_ref"));
            items.add(Item.of("COLLECTED", plastic, "place", plastic.get("place"), "actors", List.of(holder)));
        }
        reports.tell("collection", Map.of(), items);
        store.execute("UPDATE plastic SET state = 'COLLECTED', due = ? WHERE " + due, now + FINANCE_AFTER);
    }

    private void activations(long now) throws Exception {
        String due = "state = 'COLLECTED' AND active_at IS NULL AND due <= " + now + " AND NOT " + STOPPED;
        List<Map<String, Object>> items = new ArrayList<>();
        for (var plastic : store.rows("SELECT * FROM plastic WHERE " + due)) {
            var item = Item.of("FINANCE_ACTIVATED", plastic);
            items.add(item);
            store.execute("UPDATE plastic SET active_at = ? WHERE (card_ref, attempt) = (?, ?)",
                    item.get("occurred_at"), plastic.get("card_ref"), plastic.get("attempt"));
        }
        reports.tell("activation", Map.of(), items);
    }

    private void cancelAccounts() throws Exception {
        List<Map<String, Object>> items = new ArrayList<>();
        for (var asked : store.rows(OPEN + "'CANCEL_ACCOUNT'")) {
            items.add(Item.of("ACCOUNT_CANCELLED", asked));
            answered(asked);
            store.execute("UPDATE plastic SET active_at = NULL, state = CASE state WHEN 'COLLECTED' THEN 'CLOSED' ELSE state END"
                    + " WHERE (card_ref, attempt) = (?, ?)", asked.get("card_ref"), asked.get("attempt"));
        }
        reports.tell("activation", Map.of(), items);
    }

    /** Destroy what is asked for, once it lies in our store. */
    private void destroy() throws Exception {
        List<Map<String, Object>> items = new ArrayList<>();
        for (var asked : store.rows(OPEN + "'DESTROY'")) {
            if (store.execute("UPDATE plastic SET state = 'DESTROYED' WHERE (card_ref, attempt) = (?, ?)"
                    + " AND state = 'IN_STORE'", asked.get("card_ref"), asked.get("attempt")) == 1) {
                items.add(Item.destroyed(settings.partner(), asked));
                answered(asked);
            }
        }
        reports.tell("collection", Map.of(), items);
    }

    private void answered(Map<String, Object> asked) throws Exception {
        store.execute("UPDATE request SET answered = 1 WHERE (request, card_ref, attempt) = (?, ?, ?)",
                asked.get("request"), asked.get("card_ref"), asked.get("attempt"));
    }
}

package cn.issuance.bank;

import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Items of a CardReport, about something that happens now. The contract's docs/lifecycle.md says what each one needs. */
final class Item {
    private Item() {}

    /** A milestone of a plastic: a row of the store with card_ref and attempt. */
    static Map<String, Object> of(String milestone, Map<String, Object> plastic, Object... namesAndValues) {
        Map<String, Object> item = job(milestone, namesAndValues);
        item.put("card_ref", plastic.get("card_ref"));
        item.put("attempt", plastic.get("attempt"));
        return item;
    }

    /** A milestone of a whole job. */
    static Map<String, Object> job(String milestone, Object... namesAndValues) {
        Map<String, Object> item = new HashMap<>();
        item.put("milestone", milestone);
        item.put("occurred_at", System.currentTimeMillis());  // when it happened, not when it is sent
        for (int n = 0; n < namesAndValues.length; n += 2) {
            item.put((String) namesAndValues[n], namesAndValues[n + 1]);
        }
        return item;
    }

    /** A destruction is seen by two different witnesses; references, never names. */
    static Map<String, Object> destroyed(String partner, Map<String, Object> plastic) {
        return of("DESTROYED", plastic, "actors", List.of(actor("WITNESS", partner + "-W1"), actor("WITNESS", partner + "-W2")));
    }

    static Map<String, Object> actor(String role, String reference) {
        return Map.of("role", role, "reference", reference);
    }
}

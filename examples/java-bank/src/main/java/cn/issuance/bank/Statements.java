package cn.issuance.bank;

import java.io.IOException;
import java.sql.SQLException;
import java.time.DayOfWeek;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.util.List;
import java.util.Map;

/** The full list of what is active: in chunks, each with the total and hash total of all of them. */
final class Statements {
    private static final ZoneId SHANGHAI = ZoneId.of("Asia/Shanghai");
    private static final Duration WINDOW = Duration.ofDays(400);
    private static final long QUIET = 4_000;
    private final Settings settings;
    private final Store store;
    private final Reports reports;
    private final boolean often;

    /** `often`: not only when it is due but whenever the list has changed and nothing has happened for some seconds. */
    Statements(Settings settings, Store store, Reports reports, boolean often) {
        this.settings = settings;
        this.store = store;
        this.reports = reports;
        this.often = often;
    }

    /** The demo registry asks for statements of finance on Fridays at 20:00, Shanghai time. */
    void drawIfDue(long now) throws SQLException, IOException {
        ZonedDateTime here = Instant.ofEpochMilli(now).atZone(SHANGHAI);
        boolean due = here.getDayOfWeek() == DayOfWeek.FRIDAY && here.getHour() >= 20
                && store.number("SELECT count(*) FROM statement WHERE statement_id = ?", idOf(here.toLocalDate())) == 0;
        if (due || often && changed(now)) {
            draw(now);
        }
    }

    private boolean changed(long now) throws SQLException {
        String listed = listing(active(now));
        var last = store.rows("SELECT listed FROM statement ORDER BY drawn_at DESC LIMIT 1");
        boolean other = last.isEmpty() ? !listed.isEmpty() : !listed.equals(last.get(0).get("listed"));
        return other && store.number("SELECT coalesce(max(written_at), 0) FROM outbox") < now - QUIET;
    }

    /** Another one for the same day is its next revision. */
    void draw(long now) throws SQLException, IOException {
        LocalDate day = Instant.ofEpochMilli(now).atZone(SHANGHAI).toLocalDate();
        String id = idOf(day);
        long revision = store.number("SELECT coalesce(max(revision), 0) + 1 FROM statement WHERE statement_id = ?", id);
        List<Map<String, Object>> active = active(now);
        int chunks = Math.max(1, (active.size() + Reports.MOST_ITEMS - 1) / Reports.MOST_ITEMS);
        String total = HashTotal.of(active.stream().map(plastic -> (String) plastic.get("card_ref")).toList());
        for (int chunk = 1; chunk <= chunks; chunk++) {
            var part = active.subList((chunk - 1) * Reports.MOST_ITEMS, Math.min(chunk * Reports.MOST_ITEMS, active.size()));
            Map<String, Object> value = new java.util.HashMap<>(Map.of(
                    "statement_id", id, "partner", settings.partner(), "function", "finance",
                    "business_day", (int) day.toEpochDay(), "as_of", now, "revision", (int) revision));
            value.putAll(Map.of("chunk", chunk, "chunks", chunks, "total", (long) active.size(), "hash_total", total,
                    "items", part));
            reports.put(settings.topic("statements"), id, "statement", id + "/" + revision + "/" + chunk, value, chunk, id);
        }
        store.execute("INSERT INTO statement VALUES (?, ?, ?, ?)", id, revision, listing(active), now);
    }

    /** What is active and was activated within 400 days. */
    private List<Map<String, Object>> active(long now) throws SQLException {
        return store.rows("SELECT card_ref, attempt FROM plastic WHERE active_at > ? ORDER BY card_ref, attempt",
                now - WINDOW.toMillis());
    }

    private String idOf(LocalDate day) throws SQLException {
        return "ST-" + settings.partner() + "-" + store.stream() + "-" + day;
    }

    private static String listing(List<Map<String, Object>> plastics) {
        return HashTotal.of(plastics.stream().map(plastic -> (String) plastic.get("card_ref")).toList()) + plastics.size();
    }
}

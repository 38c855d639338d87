package cn.issuance.bank;

import java.io.IOException;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;

/** Writes messages into the outbox of the store, inside the caller's transaction; the line sends them. */
final class Reports {
    static final int MOST_ITEMS = 1000;
    private final Settings settings;
    private final Registry registry;
    private final Store store;

    Reports(Settings settings, Registry registry, Store store) {
        this.settings = settings;
        this.registry = registry;
        this.store = store;
    }

    /** Report on a whole job: one item without card_ref. */
    void tellJob(String jobId, Map<String, ?> head, Map<String, ?> item) throws SQLException, IOException {
        Map<String, Object> all = merged(head, Map.of("kind", "JOB", "job_id", jobId));
        write("production", all, List.of(item), jobId);
    }

    /** Report items that share a head (a hand-over, or nothing), at most 1,000 a message. */
    void tell(String family, Map<String, ?> head, List<? extends Map<String, ?>> items) throws SQLException, IOException {
        for (int start = 0; start < items.size(); start += MOST_ITEMS) {
            var part = items.subList(start, Math.min(start + MOST_ITEMS, items.size()));
            List<String> refs = part.stream().map(item -> (String) item.get("card_ref")).filter(Objects::nonNull).toList();
            write(family, merged(head, Map.of("kind", "ITEMS", "hash_total", HashTotal.of(refs))), part, null);
        }
    }

    /** The sequence of the next report: it counts 1, 2, 3 … over all reports of this store, whatever their topic. */
    long nextSequence() throws SQLException {
        return store.number("SELECT coalesce(max(number), 0) + 1 FROM outbox WHERE record = 'card_report'");
    }

    private void write(String family, Map<String, Object> head, Collection<? extends Map<String, ?>> items, String about)
            throws SQLException, IOException {
        long sequence = nextSequence();
        String stream = store.stream();
        String reportId = settings.partner() + "-" + stream + "-" + sequence;
        Map<String, Object> own = Map.of(
                "report_id", reportId, "partner", settings.partner(), "stream", stream, "sequence", sequence,
                "reported_at", System.currentTimeMillis(), "declared_count", items.size(), "items", items);
        put(settings.topic(family), reportId, "card_report", reportId, merged(head, own), sequence, about);
    }

    /** Frame a record with the newest schema of its topic, and keep it until it is sent, and after. */
    void put(String topic, String key, String record, String id, Map<String, ?> value, long number, String about)
            throws SQLException, IOException {
        Registry.Registered registered = registry.ofTopic(topic);
        byte[] body = Framing.frame(registered.id(), record(registered.schema(), value));
        store.execute("INSERT INTO outbox (topic, key, record, event_id, written_at, body, number, about)"
                + " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                topic, key, record, settings.partner() + "/" + id, System.currentTimeMillis(), body, number, about);
    }

    /** What is asked for again goes out again, byte by byte. */
    void sendAgain(String condition, Object... values) throws SQLException {
        store.execute("UPDATE outbox SET sent = 0 WHERE " + condition, values);
    }

    /** A record of plain maps and lists; what is not named has its default, a name that the schema lacks is an error. */
    static GenericRecord record(Schema schema, Map<String, ?> values) {
        GenericRecordBuilder builder = new GenericRecordBuilder(schema);
        values.forEach((name, value) -> builder.set(name, value == null ? null : avro(schema.getField(name).schema(), value)));
        return builder.build();
    }

    private static Object avro(Schema schema, Object value) {
        return switch (schema.getType()) {
            case ENUM -> new GenericData.EnumSymbol(schema, value.toString());
            case RECORD -> record(schema, asMap(value));
            case ARRAY -> {
                List<Object> items = new ArrayList<>();
                ((Collection<?>) value).forEach(item -> items.add(avro(schema.getElementType(), item)));
                yield items;
            }
            default -> value;
        };
    }

    @SuppressWarnings("unchecked")
    private static Map<String, ?> asMap(Object value) {
        return (Map<String, ?>) value;
    }

    private static Map<String, Object> merged(Map<String, ?> first, Map<String, ?> second) {
        Map<String, Object> all = new java.util.HashMap<>(first);
        all.putAll(second);
        return all;
    }
}

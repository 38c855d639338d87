package cn.issuance.bank;

import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The connection to Kafka with our own SCRAM user. Positions are the store's, no consumer group keeps them. */
final class Line implements AutoCloseable {
    private final Settings settings;
    private final Store store;
    private final KafkaConsumer<String, byte[]> consumer;
    private final KafkaProducer<String, byte[]> producer;

    Line(Settings settings, Store store) {
        this.settings = settings;
        this.store = store;
        consumer = new KafkaConsumer<>(consumerOptions(), new StringDeserializer(), new ByteArrayDeserializer());
        producer = new KafkaProducer<>(producerOptions(), new StringSerializer(), new ByteArraySerializer());
    }

    private Properties login() {
        Properties options = new Properties();
        options.put("bootstrap.servers", settings.kafkaServers());
        options.put("security.protocol", settings.kafkaProtocol());
        options.put("sasl.mechanism", settings.kafkaMechanism());
        options.put("sasl.jaas.config", "org.apache.kafka.common.security.scram.ScramLoginModule required username=\""
                + quoted(settings.kafkaUser()) + "\" password=\"" + quoted(settings.kafkaPassword()) + "\";");
        options.put("client.id", settings.partner());
        return options;
    }

    private static String quoted(String text) {
        return text.replace("\\", "\\\\").replace("\"", "\\\"");
    }

    private Properties consumerOptions() {
        Properties options = login();
        options.put("isolation.level", "read_committed");  // we write in transactions
        options.put("enable.auto.commit", "false");
        options.put("allow.auto.create.topics", "false");
        return options;
    }

    private Properties producerOptions() {
        Properties options = login();
        options.put("acks", "all");
        options.put("enable.idempotence", "true");
        options.put("compression.type", "gzip");
        return options;
    }

    /** Go on where the store says; topics it does not know yet from their beginning, or from now on. */
    void open(List<String> families, boolean fromEnd) throws Exception {
        List<TopicPartition> partitions = new ArrayList<>();
        for (String family : families) {
            consumer.partitionsFor(settings.topic(family)).forEach(
                    part -> partitions.add(new TopicPartition(part.topic(), part.partition())));
        }
        consumer.assign(partitions);
        var first = fromEnd ? consumer.endOffsets(partitions) : consumer.beginningOffsets(partitions);
        store.transaction(() -> {
            for (TopicPartition part : partitions) {
                store.execute("INSERT OR IGNORE INTO position VALUES (?, ?, ?)", part.topic(), part.partition(), first.get(part));
                consumer.seek(part, store.number("SELECT next FROM position WHERE (topic, part) = (?, ?)",
                        part.topic(), part.partition()));
            }
        });
    }

    ConsumerRecords<String, byte[]> poll() {
        return consumer.poll(Duration.ofMillis(250));
    }

    /** Send what has not been acknowledged, in order. Killed in between, it is sent again: that does nothing. */
    void sendOutbox() throws Exception {
        List<Map<String, Object>> rows = store.rows("SELECT * FROM outbox WHERE sent = 0 ORDER BY no LIMIT 500");
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (Map<String, Object> row : rows) {
            sent.add(producer.send(message(row)));
        }
        for (Future<RecordMetadata> one : sent) {
            one.get();
        }
        store.transaction(() -> {
            for (Map<String, Object> row : rows) {
                store.execute("UPDATE outbox SET sent = 1 WHERE no = ?", row.get("no"));
            }
        });
    }

    private ProducerRecord<String, byte[]> message(Map<String, Object> row) {
        var message = new ProducerRecord<>((String) row.get("topic"), (String) row.get("key"), (byte[]) row.get("body"));
        Map<String, String> headers = Map.of(
                "ce_specversion", "1.0", "ce_id", (String) row.get("event_id"),
                "ce_type", "cn.issuance.v1." + row.get("record"), "ce_source", "urn:issuance:partner:" + settings.partner(),
                "ce_time", Instant.ofEpochMilli(((Number) row.get("written_at")).longValue()).toString(),
                "content-type", "application/avro");
        headers.forEach((name, value) -> message.headers().add(name, value.getBytes(StandardCharsets.UTF_8)));
        return message;
    }

    /** The next offset of a partition, in the transaction of what was read. */
    void read(String topic, int partition, long offset) throws SQLException {
        store.execute("UPDATE position SET next = ? WHERE (topic, part) = (?, ?)", offset + 1, topic, partition);
    }

    @Override
    public void close() {
        consumer.close();
        producer.close(Duration.ofSeconds(5));
    }
}

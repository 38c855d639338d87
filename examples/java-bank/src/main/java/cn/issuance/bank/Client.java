package cn.issuance.bank;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** One partner: reads its topics, does what is due, sends what it wrote; over and over. */
final class Client implements Runnable {
    /** Makes the partner's desk, once it is connected. */
    interface Opening {
        Desk desk(Settings settings, Store store, Reports reports, Bucket bucket);
    }

    private static final long BREATH = 3_000;
    private final Path directory;
    private final Store store;
    private final Box box;
    private final boolean fromEnd;
    private final Opening opening;

    Client(Path directory, Store store, Box box, boolean fromEnd, Opening opening) {
        this.directory = directory;
        this.store = store;
        this.box = box;
        this.fromEnd = fromEnd;
        this.opening = opening;
    }

    /** Connect and work; after any failure of a connection begin again where the store stands. */
    @Override
    public void run() {
        while (!Thread.currentThread().isInterrupted()) {
            try {
                work(Settings.read(directory));
            } catch (InterruptedException error) {
                Thread.currentThread().interrupt();
            } catch (Exception error) {
                System.err.println(directory.getFileName() + ": " + error + "; again in " + BREATH + " ms");
                breathe();
            }
        }
    }

    private void work(Settings settings) throws Exception {
        Registry registry = new Registry(settings.registry());
        Reports reports = new Reports(settings, registry, store);
        try (Bucket bucket = new Bucket(settings); Line line = new Line(settings, store)) {
            Desk desk = opening.desk(settings, store, reports, bucket);
            List<String> families = new ArrayList<>(List.of(desk.families()));
            families.add("partner-notices");
            line.open(families, fromEnd);
            Main.log(settings, "ready");
            while (!Thread.currentThread().isInterrupted()) {
                for (ConsumerRecord<String, byte[]> message : line.poll()) {
                    store.transaction(() -> take(settings, registry, reports, desk, line, message));
                }
                for (Path slip : box.slips()) {
                    store.transaction(() -> {
                        if (store.isNew("slip/" + slip.getFileName())) {
                            desk.brought(Box.read(slip));
                        }
                    });
                }
                store.transaction(() -> desk.act(System.currentTimeMillis()));
                line.sendOutbox();
            }
        }
    }

    /** One message: what follows from it and the new position are one transaction. What was seen is dropped. */
    private void take(Settings settings, Registry registry, Reports reports, Desk desk, Line line,
            ConsumerRecord<String, byte[]> message) throws Exception {
        line.read(message.topic(), message.partition(), message.offset());
        if (!store.isNew(eventId(message))) {
            return;
        }
        GenericRecord value = Framing.value(message.value(), registry.ofId(Framing.schemaId(message.value())));
        if (message.topic().equals(settings.topic("partner-notices"))) {
            new Notices(settings, store, reports, desk).hear(value);
        } else {
            desk.hear(value);
        }
    }

    private static String eventId(ConsumerRecord<String, byte[]> message) throws IOException {
        var header = message.headers().lastHeader("ce_id");
        if (header == null) {
            throw new IOException("a message without ce_id: " + message.topic() + "/" + message.offset());
        }
        return new String(header.value(), StandardCharsets.UTF_8);
    }

    private static void breathe() {
        try {
            Thread.sleep(BREATH);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }
}

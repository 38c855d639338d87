package cn.issuance.bank;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.avro.AvroRuntimeException;
import org.apache.avro.Schema;
import org.junit.jupiter.api.Test;

class FramingTest {
    private static final Schema REPORT = schema("card_report");

    private static Schema schema(String name) {
        try {
            return new Schema.Parser().parse(Files.readString(Path.of("../../schemas/" + name + ".avsc")));
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    private static Map<String, Object> report() {
        return Map.of(
                "report_id", "r1", "partner", "PAB", "stream", "main", "sequence", 1L, "reported_at", 1_760_000_000_000L,
                "kind", "ITEMS", "declared_count", 1,
                "items", List.of(Map.of("milestone", "MADE", "occurred_at", 1_760_000_000_000L,
                        "card_ref", "6f1c2e0a-0000-5000-8000-000000000001", "attempt", 1)));
    }

    @Test
    void headIsAZeroByteAndTheIdInFourBytes() {
        byte[] framed = Framing.frame(258, Reports.record(REPORT, report()));
        assertArrayEquals(new byte[] {0, 0, 0, 1, 2}, Arrays.copyOf(framed, Framing.HEAD));
        assertEquals(258, Framing.schemaId(framed));
    }

    @Test
    void whatIsWrittenIsReadAgainWithDefaults() throws Exception {
        var value = Reports.record(REPORT, report());
        var again = Framing.value(Framing.frame(1, value), REPORT);
        assertEquals(value.toString(), again.toString());
        var item = (org.apache.avro.generic.GenericRecord) ((List<?>) again.get("items")).get(0);
        assertEquals("MADE", item.get("milestone").toString());
        assertEquals(false, item.get("corrects"));
    }

    @Test
    void theSameContentHasTheSameBytes() {
        assertArrayEquals(Framing.frame(1, Reports.record(REPORT, report())), Framing.frame(1, Reports.record(REPORT, report())));
    }

    @Test
    void whatIsNoFrameIsNotRead() {
        assertThrows(IllegalArgumentException.class, () -> Framing.schemaId(new byte[] {1, 0, 0, 0, 1, 5}));
        assertThrows(IllegalArgumentException.class, () -> Framing.schemaId(new byte[] {0, 0}));
        assertThrows(IllegalArgumentException.class, () -> Framing.schemaId(null));
    }

    @Test
    void aFieldThatIsNeededCannotBeLeftOut() {
        assertThrows(AvroRuntimeException.class, () -> Reports.record(REPORT, Map.of("report_id", "r1")));
    }
}

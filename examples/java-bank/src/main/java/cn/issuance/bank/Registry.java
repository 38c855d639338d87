package cn.issuance.bank;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;

/**
 * The schema registry. We write with the newest schema of the subject TOPIC-value and read with the writer's own, by the id
 * in the frame: fields that came later are simply there, and no class has to be generated.
 */
final class Registry {
    /** A schema and its id. */
    record Registered(int id, Schema schema) {}

    private final URI url;
    private final HttpClient http = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();
    private final Map<String, Registered> newest = new HashMap<>();
    private final Map<Integer, Schema> byId = new HashMap<>();

    Registry(URI url) {
        this.url = url;
    }

    Registered ofTopic(String topic) throws IOException {
        if (!newest.containsKey(topic)) {
            JsonNode found = get("/subjects/" + topic + "-value/versions/latest");
            newest.put(topic, new Registered(found.get("id").asInt(), parse(found)));
        }
        return newest.get(topic);
    }

    Schema ofId(int id) throws IOException {
        if (!byId.containsKey(id)) {
            byId.put(id, parse(get("/schemas/ids/" + id)));
        }
        return byId.get(id);
    }

    private static Schema parse(JsonNode found) {
        return new Schema.Parser().parse(found.get("schema").asText());
    }

    private JsonNode get(String path) throws IOException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + path)).timeout(Duration.ofSeconds(30)).build();
        try {
            HttpResponse<String> answer = http.send(request, HttpResponse.BodyHandlers.ofString());
            if (answer.statusCode() != 200) {
                throw new IOException("registry: " + path + " gave " + answer.statusCode());
            }
            return new ObjectMapper().readTree(answer.body());
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", error);
        }
    }
}

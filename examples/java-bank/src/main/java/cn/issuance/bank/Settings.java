package cn.issuance.bank;

import java.io.IOException;
import java.io.StringReader;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;

/** What a partner is handed: the file partner.env in its directory. Read anew at each connection, so that a rotation works. */
record Settings(
        Path directory, String partner,
        String kafkaServers, String kafkaProtocol, String kafkaMechanism, String kafkaUser, String kafkaPassword,
        URI registry, URI s3Endpoint, String s3AccessKey, String s3SecretKey, String s3Bucket) {

    static Settings read(Path directory) throws IOException {
        Properties env = new Properties();
        // Properties would take a backslash of a value for an escape; partner.env is plain NAME=VALUE.
        env.load(new StringReader(Files.readString(directory.resolve("partner.env")).replace("\\", "\\\\")));
        return new Settings(
                directory, need(env, "PARTNER_ID"),
                need(env, "KAFKA_BOOTSTRAP_SERVERS"), need(env, "KAFKA_SECURITY_PROTOCOL"),
                need(env, "KAFKA_SASL_MECHANISM"), need(env, "KAFKA_USER"), need(env, "KAFKA_PASSWORD"),
                URI.create(need(env, "SCHEMA_REGISTRY_URL")), URI.create(need(env, "S3_ENDPOINT_URL")),
                need(env, "S3_ACCESS_KEY"), need(env, "S3_SECRET_KEY"), need(env, "S3_BUCKET"));
    }

    private static String need(Properties env, String name) {
        String value = env.getProperty(name);
        if (value == null || value.isBlank()) {
            throw new IllegalArgumentException(name + " is missing in partner.env");
        }
        return value;
    }

    /** The topic of one of our families: issuance.FAMILY.PARTNER.v1. */
    String topic(String family) {
        return "issuance." + family + "." + partner + ".v1";
    }

    /** Passwords do not stand in logs. */
    @Override
    public String toString() {
        return "Settings[" + partner + "@" + kafkaServers + "]";
    }
}

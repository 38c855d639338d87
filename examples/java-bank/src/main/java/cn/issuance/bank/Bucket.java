package cn.issuance.bank;

import java.io.IOException;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.checksums.ResponseChecksumValidation;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.s3.S3Client;

/** The S3 bucket, as far as our identity reaches: our own prefix, and keys/issuance.jwks. */
final class Bucket implements AutoCloseable {
    static final String OUR_KEYS = "keys/issuance.jwks";
    private final S3Client client;
    private final String name;

    Bucket(Settings settings) {
        name = settings.s3Bucket();
        client = S3Client.builder()
                .endpointOverride(settings.s3Endpoint())
                .region(Region.US_EAST_1)  // the bucket has none; a signature (SigV4) names one
                .forcePathStyle(true)
                .responseChecksumValidation(ResponseChecksumValidation.WHEN_REQUIRED)
                .credentialsProvider(StaticCredentialsProvider.create(
                        AwsBasicCredentials.create(settings.s3AccessKey(), settings.s3SecretKey())))
                .httpClient(UrlConnectionHttpClient.create())
                .build();
    }

    byte[] fetch(String key) throws IOException {
        try {
            return client.getObjectAsBytes(request -> request.bucket(name).key(key)).asByteArray();
        } catch (SdkException error) {
            throw new IOException("S3: " + key + ": " + error.getMessage(), error);
        }
    }

    @Override
    public void close() {
        client.close();
    }
}

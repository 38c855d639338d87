package cn.issuance.bank;

import com.nimbusds.jose.EncryptionMethod;
import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWEAlgorithm;
import com.nimbusds.jose.JWEDecrypter;
import com.nimbusds.jose.JWEObject;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSObject;
import com.nimbusds.jose.JWSVerifier;
import com.nimbusds.jose.crypto.ECDHDecrypter;
import com.nimbusds.jose.crypto.ECDSAVerifier;
import com.nimbusds.jose.crypto.RSADecrypter;
import com.nimbusds.jose.crypto.RSASSAVerifier;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.JWKSet;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.interfaces.ECPrivateKey;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.text.ParseException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import org.apache.avro.AvroRuntimeException;
import org.apache.avro.file.DataFileReader;
import org.apache.avro.file.SeekableByteArrayInput;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;

/**
 * A job file: a JWE to our key, in it a JWS by the issuance, in it an Avro container of PersonalizationRecord. It is opened
 * only when hash, algorithms, signature, job, count and hash total are all as ordered.
 */
final class JobFile {
    /** The file is not what the order says, or not from the issuance: the job is refused as DATA_UNREADABLE. */
    static final class NotAsOrdered extends Exception {
        private static final long serialVersionUID = 1;

        NotAsOrdered(String why) {
            super(why);
        }
    }

    private static final Set<JWEAlgorithm> SEALING = Set.of(JWEAlgorithm.RSA_OAEP_256, JWEAlgorithm.ECDH_ES_A256KW);
    private static final Set<JWSAlgorithm> SIGNING = Set.of(JWSAlgorithm.PS256, JWSAlgorithm.ES256);
    private final Settings settings;
    private final Bucket bucket;

    JobFile(Settings settings, Bucket bucket) {
        this.settings = settings;
        this.bucket = bucket;
    }

    /** The records of an order's file. An IOException is worth another try, NotAsOrdered is not. */
    List<GenericRecord> open(GenericRecord order) throws IOException, NotAsOrdered {
        byte[] sealed = bucket.fetch(order.get("object").toString());
        require(sha256(sealed).equals(order.get("sha256").toString()), "another hash");
        try {
            return checked(order, container(verified(decrypted(new String(sealed, StandardCharsets.US_ASCII)))));
        } catch (ParseException | JOSEException | GeneralSecurityException | AvroRuntimeException error) {
            throw new NotAsOrdered(error.getClass().getSimpleName());  // its message could quote the file
        }
    }

    private String decrypted(String sealed)
            throws ParseException, JOSEException, GeneralSecurityException, IOException, NotAsOrdered {
        JWEObject jwe = JWEObject.parse(sealed);
        var header = jwe.getHeader();
        require(SEALING.contains(header.getAlgorithm()), "algorithm " + header.getAlgorithm());
        require(EncryptionMethod.A256GCM.equals(header.getEncryptionMethod()), "enc " + header.getEncryptionMethod());
        PrivateKey key = privateKey(header.getKeyID());
        JWEDecrypter decrypter = key instanceof ECPrivateKey ec ? new ECDHDecrypter(ec) : new RSADecrypter(key);
        jwe.decrypt(decrypter);
        return jwe.getPayload().toString();
    }

    private byte[] verified(String signed) throws ParseException, JOSEException, IOException, NotAsOrdered {
        JWSObject jws = JWSObject.parse(signed);
        require(SIGNING.contains(jws.getHeader().getAlgorithm()), "algorithm " + jws.getHeader().getAlgorithm());
        String published = new String(bucket.fetch(Bucket.OUR_KEYS), StandardCharsets.UTF_8);
        JWK key = JWKSet.parse(published).getKeyByKeyId(jws.getHeader().getKeyID());
        require(key != null && "sig".equals(key.getKeyUse().identifier()), "unknown signing key");
        JWSVerifier verifier = key.getKeyType().getValue().equals("EC")
                ? new ECDSAVerifier(key.toECKey()) : new RSASSAVerifier(key.toRSAKey());
        require(jws.verify(verifier), "another signature");
        return jws.getPayload().toBytes();
    }

    private static DataFileReader<GenericRecord> container(byte[] clear) throws IOException {
        return new DataFileReader<>(new SeekableByteArrayInput(clear), new GenericDatumReader<>());
    }

    private static List<GenericRecord> checked(GenericRecord order, DataFileReader<GenericRecord> container)
            throws IOException, NotAsOrdered {
        List<GenericRecord> records = new ArrayList<>();
        try (container) {
            require(order.get("job_id").toString().equals(container.getMetaString("issuance.job_id")), "another job");
            container.forEach(records::add);
        }
        String total = HashTotal.of(records.stream().map(record -> record.get("card_ref").toString()).toList());
        require(records.size() == (Integer) order.get("card_count"), "another count");
        require(total.equals(order.get("hash_total").toString()), "another hash total");
        return records;
    }

    /** private.pem is the first key; a later one is private-KEY_ID.pem beside it. */
    private PrivateKey privateKey(String keyId) throws IOException, GeneralSecurityException, NotAsOrdered {
        require(keyId != null && keyId.matches("[A-Za-z0-9_.-]+"), "no key id");
        Path later = settings.directory().resolve("private-" + keyId + ".pem");
        Path file = Files.exists(later) ? later : settings.directory().resolve("private.pem");
        byte[] der = Base64.getMimeDecoder().decode(Files.readString(file).replaceAll("-----[A-Z ]+-----", ""));
        try {
            return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(der));
        } catch (InvalidKeySpecException notRsa) {
            return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(der));
        }
    }

    private static String sha256(byte[] content) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);  // every JDK has it
        }
    }

    private static void require(boolean holds, String why) throws NotAsOrdered {
        if (!holds) {
            throw new NotAsOrdered(why);
        }
    }
}

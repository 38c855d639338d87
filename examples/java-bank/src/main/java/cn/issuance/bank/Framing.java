package cn.issuance.bank;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/** Confluent framing: a zero byte, the schema's id in four bytes (big endian), the Avro body. */
final class Framing {
    static final int HEAD = 5;

    private Framing() {}

    static byte[] frame(int schemaId, GenericRecord value) {
        try {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            out.write(ByteBuffer.allocate(HEAD).put((byte) 0).putInt(schemaId).array());
            BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
            new GenericDatumWriter<GenericRecord>(value.getSchema()).write(value, encoder);
            encoder.flush();
            return out.toByteArray();
        } catch (IOException error) {
            throw new IllegalStateException(error);  // memory does not fail
        }
    }

    /** The id of the schema with which a message was written. */
    static int schemaId(byte[] framed) {
        if (framed == null || framed.length < HEAD || framed[0] != 0) {
            throw new IllegalArgumentException("no framed message");
        }
        return ByteBuffer.wrap(framed).getInt(1);
    }

    static GenericRecord value(byte[] framed, Schema writer) throws IOException {
        var body = DecoderFactory.get().binaryDecoder(framed, HEAD, framed.length - HEAD, null);
        return new GenericDatumReader<GenericRecord>(writer).read(null, body);
    }
}

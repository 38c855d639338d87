package cn.issuance.bank;

import com.fasterxml.jackson.databind.JsonNode;
import org.apache.avro.generic.GenericRecord;

/** What a partner does. Every call is inside a transaction of its store; what it reports goes to the outbox. */
interface Desk {
    /** Topic families that it reads beside partner-notices. */
    default String[] families() {
        return new String[0];
    }

    /** A message on one of those. */
    default void hear(GenericRecord message) throws Exception {}

    /** Something is asked about a plastic, once. */
    void asked(String request, String cardRef, int attempt) throws Exception;

    /** A statement has not come. */
    default void stateNow() throws Exception {}

    /** Something is brought by hand: a slip of the box. */
    void brought(JsonNode slip) throws Exception;

    /** Do what is due by now. */
    void act(long now) throws Exception;
}

package cn.issuance.bank;

import java.util.Collection;
import java.util.UUID;

/** The control sum of the contract: the sum of the card_refs' low 64 bits mod 2^64, as 16 hex digits. */
final class HashTotal {
    private HashTotal() {}

    static String of(Collection<String> cardRefs) {
        long sum = 0;  // a long overflows just as mod 2^64 demands
        for (String cardRef : cardRefs) {
            sum += UUID.fromString(cardRef).getLeastSignificantBits();
        }
        return String.format("%016x", sum);
    }
}

package cn.issuance.bank;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

class HashTotalTest {
    @Test
    void ofNothingIsZero() {
        assertEquals("0000000000000000", HashTotal.of(List.of()));
    }

    @Test
    void isTheSumOfTheLowHalves() {
        assertEquals("0000000000000003", HashTotal.of(List.of(
                "ffffffff-ffff-ffff-0000-000000000001", "00000000-0000-0000-0000-000000000002")));
    }

    @Test
    void overflowsAsModulo() {
        String most = "00000000-0000-0000-ffff-ffffffffffff";
        assertEquals("fffffffffffffffe", HashTotal.of(List.of(most, most)));
    }
}

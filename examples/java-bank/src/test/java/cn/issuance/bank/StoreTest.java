package cn.issuance.bank;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.sql.SQLException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StoreTest {
    @TempDir
    Path directory;

    private Store open(String stream) throws SQLException {
        return new Store(directory.resolve("PAB.db"), stream);
    }

    @Test
    void theStreamIsThatOfTheFileHoweverOftenItIsOpened() throws Exception {
        open("first").close();
        try (Store again = open("second")) {
            assertEquals("first", again.stream());
        }
    }

    @Test
    void whatWasSeenIsKnownAfterARestartAndWhatFailedIsNot() throws Exception {
        try (Store store = open("s")) {
            store.transaction(() -> assertTrue(store.isNew("e1")));
            assertThrows(IllegalStateException.class, () -> store.transaction(() -> {
                assertTrue(store.isNew("e2"));
                throw new IllegalStateException("killed");
            }));
        }
        try (Store store = open("s")) {
            store.transaction(() -> assertFalse(store.isNew("e1")));
            store.transaction(() -> assertTrue(store.isNew("e2")));
        }
    }

    @Test
    void aSecondClientOnTheSameFileIsRefused() throws Exception {
        try (Store store = open("s")) {
            store.transaction(() -> store.isNew("e1"));
            assertThrows(SQLException.class, () -> open("s"));
        }
    }
}

package cn.issuance.bank;

import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Everything the client must not forget, in one local file (SQLite): how far it has read, what it knows of jobs and
 * plastics, and every message it has written. One message read, what follows from it and the new position are one
 * transaction, so that a client that is killed at any moment goes on where it was, and sends again only what may have been
 * sent already: the same bytes under the same id, which do nothing the second time.
 */
final class Store implements AutoCloseable {
    /** Work inside a transaction. */
    interface Work {
        void run() throws Exception;
    }

    private static final String[] TABLES = {
        // the stream is this file's own: should the file be lost, another one counts from 1 in a stream of another name
        "CREATE TABLE IF NOT EXISTS stream (name TEXT NOT NULL)",
        "CREATE TABLE IF NOT EXISTS position (topic TEXT, part INT, next INT, PRIMARY KEY (topic, part))",
        "CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY)",
        "CREATE TABLE IF NOT EXISTS job (job_id TEXT PRIMARY KEY, state TEXT, due INT, cancelled INT DEFAULT 0)",
        "CREATE TABLE IF NOT EXISTS plastic (card_ref TEXT, attempt INT, job_id TEXT, method TEXT, place TEXT, pack TEXT,"
            + " state TEXT, due INT, trips INT DEFAULT 0, active_at INT, PRIMARY KEY (card_ref, attempt))",
        "CREATE TABLE IF NOT EXISTS request (request TEXT, card_ref TEXT, attempt INT, answered INT DEFAULT 0,"
            + " PRIMARY KEY (request, card_ref, attempt))",
        "CREATE TABLE IF NOT EXISTS statement (statement_id TEXT, revision INT, listed TEXT, drawn_at INT,"
            + " PRIMARY KEY (statement_id, revision))",
        // number: the sequence of a report, the chunk of a statement; about: its job or statement
        "CREATE TABLE IF NOT EXISTS outbox (no INTEGER PRIMARY KEY, topic TEXT, key TEXT, record TEXT, event_id TEXT,"
            + " written_at INT, body BLOB, number INT, about TEXT, sent INT DEFAULT 0)",
    };

    private final Connection connection;

    Store(Path file, String newStream) throws SQLException {
        connection = DriverManager.getConnection("jdbc:sqlite:" + file);
        // EXCLUSIVE: a second client on the same file is refused; FULL: what is committed survives a power cut
        execute("PRAGMA locking_mode = EXCLUSIVE");
        execute("PRAGMA journal_mode = WAL");
        execute("PRAGMA synchronous = FULL");
        for (String table : TABLES) {
            execute(table);
        }
        execute("INSERT INTO stream SELECT ? WHERE NOT EXISTS (SELECT * FROM stream)", newStream);
        connection.setAutoCommit(false);
    }

    String stream() throws SQLException {
        return rows("SELECT name FROM stream").get(0).get("name").toString();
    }

    void transaction(Work work) throws Exception {
        try {
            work.run();
            connection.commit();
        } catch (Exception error) {
            connection.rollback();
            throw error;
        }
    }

    /** How many rows a statement changed. */
    int execute(String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = prepare(sql, values)) {
            return statement.execute() ? 0 : statement.getUpdateCount();
        }
    }

    List<Map<String, Object>> rows(String sql, Object... values) throws SQLException {
        List<Map<String, Object>> found = new ArrayList<>();
        try (PreparedStatement statement = prepare(sql, values); ResultSet result = statement.executeQuery()) {
            while (result.next()) {
                Map<String, Object> row = new LinkedHashMap<>();
                for (int n = 1; n <= result.getMetaData().getColumnCount(); n++) {
                    row.put(result.getMetaData().getColumnLabel(n), result.getObject(n));
                }
                found.add(row);
            }
        }
        return found;
    }

    /** One number. */
    long number(String sql, Object... values) throws SQLException {
        return ((Number) rows(sql, values).get(0).values().iterator().next()).longValue();
    }

    /** Whether an id comes for the first time; from now on it is known. */
    boolean isNew(String id) throws SQLException {
        return execute("INSERT OR IGNORE INTO seen VALUES (?)", id) == 1;
    }

    private PreparedStatement prepare(String sql, Object... values) throws SQLException {
        PreparedStatement statement = connection.prepareStatement(sql);
        for (int n = 0; n < values.length; n++) {
            statement.setObject(n + 1, values[n]);
        }
        return statement;
    }

    @Override
    public void close() throws SQLException {
        connection.close();
    }
}

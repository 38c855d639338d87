package cn.issuance.bank;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;

/**
 * java -jar java-bank.jar [options] --bank DIRECTORY --factory DIRECTORY
 *
 * <p>DIRECTORY holds the partner.env that the partner was handed, and private.pem for a factory.
 */
public final class Main {
    private static final String USAGE = """
            java -jar java-bank.jar [options] --bank DIRECTORY --factory DIRECTORY
              --bank DIRECTORY, --factory DIRECTORY  whom to play, one or both: what the partner was handed
              --state DIRECTORY   where the client keeps what it must not forget (default: state)
              --box DIRECTORY     what is brought by hand, in DIRECTORY/PARTNER (docs/conformance.md)
              --carrier ID        who takes the letters (default: EMS)
              --from-end          a new client does not read what was said before it came
              --state-often       a statement whenever the list has changed, not on Fridays alone
              --wrong-count       a fault: the bank signs for one plastic more than it was given""";
    private String carrier = "EMS";
    private Path state = Path.of("state");
    private Path box;
    private Path bank;
    private Path factory;
    private boolean fromEnd;
    private boolean often;
    private int wrongBy;

    private Main(String[] words) {
        for (int n = 0; n < words.length; n++) {
            switch (words[n]) {
                case "--bank" -> bank = Path.of(words[++n]);
                case "--factory" -> factory = Path.of(words[++n]);
                case "--state" -> state = Path.of(words[++n]);
                case "--box" -> box = Path.of(words[++n]);
                case "--carrier" -> carrier = words[++n];
                case "--from-end" -> fromEnd = true;
                case "--state-often" -> often = true;
                case "--wrong-count" -> wrongBy = 1;
                default -> throw new IllegalArgumentException(words[n]);
            }
        }
        if (bank == null && factory == null) {
            throw new IllegalArgumentException("nobody to play");
        }
    }

    public static void main(String[] words) throws Exception {
        try {
            new Main(words).start();
        } catch (IllegalArgumentException | IndexOutOfBoundsException error) {
            System.err.println(error.getMessage() + "\n" + USAGE);
            System.exit(2);
        }
    }

    private void start() throws Exception {
        Files.createDirectories(state);
        List<Client> clients = new ArrayList<>();
        if (factory != null) {
            clients.add(client(factory, (settings, store, reports, bucket) ->
                    new Factory(settings, store, reports, new JobFile(settings, bucket), carrier)));
        }
        if (bank != null) {
            clients.add(client(bank, (settings, store, reports, bucket) -> new Bank(settings, store, reports,
                    new Statements(settings, store, reports, often), wrongBy)));
        }
        for (Client client : clients) {
            new Thread(client).start();
        }
    }

    private Client client(Path directory, Client.Opening opening) throws Exception {
        String partner = Settings.read(directory).partner();
        Store store = new Store(state.resolve(partner + ".db"), "java-" + Instant.now().getEpochSecond());
        return new Client(directory, store, new Box(box == null ? null : box.resolve(partner)), fromEnd, opening);
    }

    /** To standard output, with the time and who speaks; ids and codes, nothing of a person. */
    static void log(Settings settings, String text) {
        System.out.println(Instant.now() + " " + settings.partner() + ": " + text);
    }
}

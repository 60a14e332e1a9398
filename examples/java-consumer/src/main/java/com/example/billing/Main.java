package com.example.billing;

import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.Set;

/** Starts the consumer with the demo's handler; SIGTERM or Ctrl-C stop it. */
public final class Main {
    private static final String USAGE =
            """
            usage: java -jar java-consumer.jar --bootstrap-servers HOST:PORT --topic TOPIC --group GROUP
              --namespace NAME     kadence's namespace (kadence)
              --config FILE        more settings of Kafka's clients, e.g. for TLS and SASL
              --effects DIR        where each run leaves a file (effects)
              --fail-while FILE    runs fail while it exists, with what it says (FAIL)
              --snooze-while FILE  runs are put off while it exists (SNOOZE)
            """;
    private static final Set<String> REQUIRED = Set.of("--bootstrap-servers", "--topic", "--group");
    private static final Map<String, String> DEFAULTS = Map.of(
            "--namespace", "kadence",
            "--config", "",
            "--effects", "effects",
            "--fail-while", "FAIL",
            "--snooze-while", "SNOOZE");

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        Map<String, String> options = options(arguments);
        if (options == null) {
            System.err.print(USAGE);
            System.exit(2);
        }
        Properties kafka = new Properties();
        if (!options.get("--config").isEmpty()) {
            try (Reader file = Files.newBufferedReader(Path.of(options.get("--config")))) {
                kafka.load(file);
            }
        }
        kafka.put("bootstrap.servers", options.get("--bootstrap-servers"));
        Handler handler = new DemoHandler(
                Files.createDirectories(Path.of(options.get("--effects"))),
                Path.of(options.get("--fail-while")),
                Path.of(options.get("--snooze-while")));
        ReportingConsumer consumer = new ReportingConsumer(
                kafka, options.get("--group"), options.get("--topic"), options.get("--namespace") + ".outcomes", handler);

        Thread working = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.stop();
            try {
                working.join(); // the process ends with this hook, and the run in hand comes first
            } catch (InterruptedException ended) {
                Thread.currentThread().interrupt();
            }
        }));
        consumer.run();
    }

    /** Name to value; null where they cannot be understood. */
    private static Map<String, String> options(String[] arguments) {
        Map<String, String> options = new HashMap<>(DEFAULTS);
        for (int at = 0; at < arguments.length; at += 2) {
            boolean known = REQUIRED.contains(arguments[at]) || DEFAULTS.containsKey(arguments[at]);
            if (!known || at + 1 == arguments.length) {
                return null;
            }
            options.put(arguments[at], arguments[at + 1]);
        }
        return options.keySet().containsAll(REQUIRED) ? options : null;
    }
}

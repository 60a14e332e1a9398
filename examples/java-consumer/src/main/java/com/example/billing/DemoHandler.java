package com.example.billing;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.net.URLEncoder;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Stands for real work: each run leaves one file in a directory.
 *
 * @param effects the directory
 * @param failWhile while this file exists, every run fails with what it says
 * @param snoozeWhile while this file exists, every run is put off by a minute
 */
record DemoHandler(Path effects, Path failWhile, Path snoozeWhile) implements Handler {
    private static final Logger LOG = LoggerFactory.getLogger(DemoHandler.class);

    @Override
    public void handle(Execution execution) throws IOException, Snooze {
        if (Files.exists(failWhile)) {
            throw new IllegalStateException(Files.readString(failWhile).strip());
        }
        if (Files.exists(snoozeWhile)) {
            throw new Snooze(Instant.now().plus(Duration.ofMinutes(1)));
        }
        try {
            // One step that happens for a run once or not at all: in a database, an insert under a unique key, in the
            // same transaction as everything else that the run changes.
            Files.createFile(effects.resolve(URLEncoder.encode(execution.run(), UTF_8)));
            LOG.info("{} done, attempt {}", execution.run(), execution.attempt());
        } catch (FileAlreadyExistsException known) {
            LOG.info("{} was done before", execution.run());
        }
    }
}

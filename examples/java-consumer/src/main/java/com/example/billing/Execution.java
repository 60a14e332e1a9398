package com.example.billing;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.time.DateTimeException;
import java.time.Instant;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/**
 * What kadence wants done: a CloudEvent whose attributes are the record's headers.
 *
 * @param id names this very firing; an outcome repeats it
 * @param job the job's name; the record's key may be another, as the job's {@code target.key} says
 * @param due the time it was due by the schedule; when it was decided, for a triggered run
 * @param attempt which attempt at the run this is, from 1
 * @param expires when it is no longer worth starting
 * @param payload the job's payload as it stands in the spec: JSON, unless the spec says otherwise
 */
public record Execution(
        String id, String job, Instant due, int attempt, Optional<Instant> expires, byte[] payload) {

    /** The same for every attempt at the run: what its effects are keyed by. */
    public String run() {
        return id.split("#", 2)[0]; // the n-th firing of a run, n > 1, has the id <run>#<n>
    }

    /** The execution in a record; empty where something else stands in it. */
    static Optional<Execution> in(ConsumerRecord<byte[], byte[]> record) {
        Optional<String> id = header(record, "ce_id");
        Optional<String> job = header(record, "ce_subject");
        Optional<String> due = header(record, "ce_time");
        boolean ours = header(record, "ce_type").filter("kadence.execution.v1"::equals).isPresent();
        if (!ours || id.isEmpty() || job.isEmpty() || due.isEmpty()) {
            return Optional.empty();
        }
        try {
            return Optional.of(new Execution(
                    id.get(),
                    job.get(),
                    Instant.parse(due.get()),
                    Integer.parseInt(header(record, "ce_attempt").orElse("1")), // absent where it is the first
                    header(record, "ce_expirytime").map(Instant::parse),
                    record.value()));
        } catch (DateTimeException | NumberFormatException unreadable) {
            return Optional.empty();
        }
    }

    private static Optional<String> header(ConsumerRecord<byte[], byte[]> record, String name) {
        return Optional.ofNullable(record.headers().lastHeader(name)).map(Header::value).map(v -> new String(v, UTF_8));
    }
}

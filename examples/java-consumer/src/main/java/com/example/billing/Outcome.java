package com.example.billing;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.management.ManagementFactory;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import org.apache.kafka.clients.producer.ProducerRecord;

/** How a firing went, in the words of kadence's contract. */
final class Outcome {
    private static final String EXECUTOR = ManagementFactory.getRuntimeMXBean().getName(); // <pid>@<host>
    private static final int MOST_MESSAGE = 2_000;
    private static final int MOST_TRACE = 16_000;
    private static final String LEFT_OUT = "\n... left out ...\n";

    private final String job;
    private final ObjectNode body = JsonNodeFactory.instance.objectNode();

    private Outcome(Execution execution, String status) {
        job = execution.job();
        body.put("id", execution.id()).put("status", status).put("executor", EXECUTOR);
    }

    /** From the arrival of this one the worker counts the job's {@code timeout}. */
    static Outcome started(Execution execution, Instant at) {
        return new Outcome(execution, "started").with("started_at", at);
    }

    static Outcome succeeded(Execution execution, Instant started, Instant finished) {
        return new Outcome(execution, "succeeded").with("started_at", started).with("finished_at", finished);
    }

    static Outcome snoozed(Execution execution, Instant until) {
        return new Outcome(execution, "snoozed").with("until", until);
    }

    static Outcome expired(Execution execution) {
        return new Outcome(execution, "expired");
    }

    /** What is in {@code thrown} can be read by all who may read the topic: keep secrets out of messages. */
    static Outcome failed(Execution execution, Instant started, Instant finished, Throwable thrown) {
        StringWriter trace = new StringWriter();
        thrown.printStackTrace(new PrintWriter(trace));
        Outcome outcome = new Outcome(execution, "failed").with("started_at", started).with("finished_at", finished);
        ObjectNode error = outcome.body.putObject("error").put("type", thrown.getClass().getName());
        if (thrown.getMessage() != null) {
            error.put("message", cut(thrown.getMessage(), MOST_MESSAGE));
        }
        error.put("traceback", cut(trace.toString(), MOST_TRACE));
        return outcome;
    }

    /** The record that says so. Its key, the job's name, takes it to the partition of the job's own shard. */
    ProducerRecord<String, byte[]> record(String topic) {
        return new ProducerRecord<>(topic, job, body.toString().getBytes(UTF_8));
    }

    private Outcome with(String name, Instant time) {
        body.put(name, time.truncatedTo(ChronoUnit.MILLIS).toString());
        return this;
    }

    /** Cut in the middle: the head of a stack trace says what was thrown and where, its end the first cause. */
    private static String cut(String text, int most) {
        String fitting = text;
        if (text.length() > most) {
            int half = (most - LEFT_OUT.length()) / 2;
            fitting = text.substring(0, half) + LEFT_OUT + text.substring(text.length() - half);
        }
        return new String(fitting.getBytes(UTF_8), UTF_8); // no half of a surrogate pair, which JSON does not have
    }
}

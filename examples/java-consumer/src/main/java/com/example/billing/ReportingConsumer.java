package com.example.billing;

import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads a job's executions, hands them to a {@link Handler} and tells kadence how they went.
 *
 * <p>At least once: an offset is committed when the outcomes of all that stands before it are acknowledged. After a
 * crash the last few executions come again, and their outcomes are told again, which changes nothing.
 */
final class ReportingConsumer {
    private static final Logger LOG = LoggerFactory.getLogger(ReportingConsumer.class);

    private final String executions;
    private final String outcomes;
    private final Handler handler;
    private final Clock clock = Clock.systemUTC();
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final KafkaProducer<String, byte[]> producer;
    private volatile boolean stopping;

    /** {@code kafka} is what both clients need to reach the cluster. */
    ReportingConsumer(Properties kafka, String group, String executions, String outcomes, Handler handler) {
        this.executions = executions;
        this.outcomes = outcomes;
        this.handler = handler;
        consumer = new KafkaConsumer<>(
                with(kafka, Map.of(
                        ConsumerConfig.GROUP_ID_CONFIG, group,
                        ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed", // Java's default shows aborted records
                        ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false,
                        ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest",
                        // The runs of one poll must end within this time, or the group goes on without us.
                        ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 20,
                        ConsumerConfig.MAX_POLL_INTERVAL_MS_CONFIG, 600_000)),
                new ByteArrayDeserializer(),
                new ByteArrayDeserializer());
        // No partitioner is set: the default one takes a key to the same partition as kadence does.
        producer = new KafkaProducer<>(
                with(kafka, Map.of(
                        ProducerConfig.ACKS_CONFIG, "all",
                        ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, true,
                        ProducerConfig.LINGER_MS_CONFIG, 0)), // "started" should be known when it is so
                new StringSerializer(),
                new ByteArraySerializer());
    }

    /** Works until {@link #stop} is called. Throws when an outcome cannot be told; a new start begins there again. */
    void run() throws InterruptedException, ExecutionException {
        try (producer; consumer) {
            consumer.subscribe(List.of(executions));
            while (!stopping) {
                work(consumer.poll(Duration.ofSeconds(1)));
            }
        } catch (WakeupException asked) {
            LOG.debug("asked to stop while there was nothing to do");
        }
        LOG.info("stopped");
    }

    /** From any thread: the run in hand is finished and reported, those behind it are left for the next start. */
    void stop() {
        stopping = true;
        consumer.wakeup();
    }

    private void work(Iterable<ConsumerRecord<byte[], byte[]>> records) throws InterruptedException, ExecutionException {
        List<Future<RecordMetadata>> told = new ArrayList<>();
        Map<TopicPartition, OffsetAndMetadata> done = new HashMap<>();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            if (stopping) {
                break;
            }
            Optional<Execution> execution = Execution.in(record);
            if (execution.isPresent()) {
                told.addAll(perform(execution.get()));
            } else {
                LOG.warn("no execution: {}-{} at {}", record.topic(), record.partition(), record.offset());
            }
            TopicPartition partition = new TopicPartition(record.topic(), record.partition());
            done.put(partition, new OffsetAndMetadata(record.offset() + 1));
        }
        for (Future<RecordMetadata> outcome : told) {
            outcome.get(); // acknowledged by all replicas in sync
        }
        commit(done);
    }

    private List<Future<RecordMetadata>> perform(Execution execution) {
        Instant now = clock.instant();
        if (execution.expires().filter(now::isAfter).isPresent()) {
            return List.of(tell(Outcome.expired(execution)));
        }
        // Only a job with `timeout` or `expires_after` needs to hear that a run began; for others leave it out.
        Future<RecordMetadata> started = tell(Outcome.started(execution, now));
        return List.of(started, tell(attempt(execution, now)));
    }

    private Outcome attempt(Execution execution, Instant started) {
        try {
            handler.handle(execution);
        } catch (Handler.Snooze snooze) {
            return Outcome.snoozed(execution, snooze.until());
        } catch (Throwable thrown) { // an Error, too: else it would end us here again after each start
            LOG.warn("{} failed", execution.id(), thrown);
            return Outcome.failed(execution, started, clock.instant(), thrown);
        }
        return Outcome.succeeded(execution, started, clock.instant());
    }

    private Future<RecordMetadata> tell(Outcome outcome) {
        return producer.send(outcome.record(outcomes));
    }

    private void commit(Map<TopicPartition, OffsetAndMetadata> done) {
        try {
            try {
                consumer.commitSync(done);
            } catch (WakeupException asked) { // once only; the loop looks at `stopping`
                consumer.commitSync(done);
            }
        } catch (CommitFailedException | RebalanceInProgressException lost) {
            LOG.warn("some runs will come again, here or elsewhere: {}", lost.getMessage());
        }
    }

    private static Properties with(Properties common, Map<String, Object> own) {
        Properties all = new Properties();
        all.putAll(common);
        all.putAll(own);
        return all;
    }
}

package com.example.billing;

import java.time.Instant;

/** The work itself. It knows nothing of Kafka. */
@FunctionalInterface
public interface Handler {
    /**
     * Does what a run of a job asks for. To return is to succeed; whatever is thrown is how the run failed.
     *
     * <p>The same run may come again: after a crash, or as the next attempt. Key what you change by {@link
     * Execution#run()}.
     */
    void handle(Execution execution) throws Exception;

    /** Not now: the run is to come again at a certain time, which is no failure and uses up no attempt. */
    final class Snooze extends Exception {
        private static final long serialVersionUID = 1L;

        private final Instant until;

        public Snooze(Instant until) {
            super("until " + until);
            this.until = until;
        }

        public Instant until() {
            return until;
        }
    }
}

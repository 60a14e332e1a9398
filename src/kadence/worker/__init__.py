"""The worker: runs the shards that the consumer group assigns to this process."""

"""The log: a port (`kadence.log.port`) and its implementations on Kafka and in memory."""

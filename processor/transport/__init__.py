"""Kafka: the consumer group with its rebalance gate, the producer, the topics."""

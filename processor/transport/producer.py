"""One idempotent producer per process (acks=all), replaced by a new one when it broke."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka

from processor.errors import BrokerUnavailable
from processor.settings import Settings
from processor.transport.connect import connection, translated

ENVELOPE = 65_536
"""Bytes that a dead letter's headers may add to the record it carries."""


class Message(NamedTuple):
    """What is produced."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


class Producer:
    """Produces batches of messages and says for each whether the broker has it.

    An idempotent producer whose batch expired in an outage cannot go on in sequence (aiokafka 0.14), so that a
    failure closes it, and the next batch gets a new one.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    async def produce(self, topic: str, messages: Sequence[Message]) -> list[kafka.KafkaError | None]:
        """Produce messages in their order; return for each None once acknowledged by all in-sync replicas, or why not.

        Raises `BrokerUnavailable` when not one was acknowledged because Kafka cannot be reached.
        """
        producer = await self._started()
        with translated():
            try:
                sent = [
                    await producer.send(topic, message.value, key=message.key, headers=list(message.headers))
                    if _fits(message, self._settings)
                    else _too_large()
                    for message in messages
                ]
            except kafka.KafkaError:
                await self._replace(producer)
                raise
        outcomes = await asyncio.gather(*sent, return_exceptions=True)
        failures = [outcome if isinstance(outcome, kafka.KafkaError) else None for outcome in outcomes]
        broken = [failure for failure in failures if failure and not is_about_the_message(failure)]
        if broken:
            await self._replace(producer)
            if not any(failure is None for failure in failures):
                with translated():
                    raise broken[0]
        return failures

    async def open(self) -> None:
        """Connect. Raises `BrokerUnavailable`, `Misfit` or `InvalidSettings`."""
        await self._started()

    async def close(self) -> None:
        """Flush and disconnect."""
        if self._producer:
            await self._replace(self._producer)

    async def _started(self) -> AIOKafkaProducer:
        async with self._lock:
            if self._producer is None:
                fresh = AIOKafkaProducer(
                    **connection(self._settings),
                    acks="all",
                    enable_idempotence=True,
                    compression_type=None
                    if self._settings.kafka_compression == "none"
                    else self._settings.kafka_compression,
                    max_request_size=self._settings.kafka_max_message_bytes + ENVELOPE,
                    max_batch_size=131_072,
                    linger_ms=2,
                    request_timeout_ms=15_000,
                )
                try:
                    with translated():
                        await fresh.start()
                except BaseException:
                    await fresh.stop()
                    raise
                self._producer = fresh
            return self._producer

    async def _replace(self, producer: AIOKafkaProducer) -> None:
        async with self._lock:
            if self._producer is not producer:
                return
            self._producer = None
        try:
            await producer.stop()
        except (kafka.KafkaError, BrokerUnavailable) as error:
            structlog.get_logger(__name__).info("the broken producer did not stop cleanly", error=str(error))


def is_about_the_message(failure: kafka.KafkaError) -> bool:
    """Tell a failure of this very message from one of the connection."""
    return isinstance(failure, kafka.MessageSizeTooLargeError | kafka.RecordTooLargeError | kafka.InvalidMessageError)


@asynccontextmanager
async def open_producer(settings: Settings) -> AsyncIterator[Producer]:
    """Connect a producer; flush and disconnect it at the end."""
    producer = Producer(settings)
    await producer.open()
    try:
        yield producer
    finally:
        await producer.close()


def _fits(message: Message, settings: Settings) -> bool:
    size = len(message.value or b"") + len(message.key or b"") + sum(len(k) + len(v) for k, v in message.headers)
    return size + 512 <= settings.kafka_max_message_bytes + ENVELOPE


def _too_large() -> "asyncio.Future[object]":
    refused: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    refused.set_exception(kafka.MessageSizeTooLargeError("the message is larger than KAFKA_MAX_MESSAGE_BYTES"))
    return refused

"""One idempotent producer per process (acks=all), replaced by a new one when it broke.

aiokafka 0.14, learnt from its source:

- an idempotent producer never gives up: what it was handed is tried again for as long as an outage lasts, and `stop`
  waits for it. Here every batch has a deadline, and what is reported as failed is not sent later;
- a batch that the broker refused leaves a gap in the sequence, after which every batch of that partition is refused:
  so any failure but a message found too large beforehand costs the producer;
- it cannot produce a message with neither key nor value.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka

from processor.settings import Settings
from processor.transport.connect import connection, stop_within, translated

ENVELOPE = 65_536
"""Bytes that a dead letter's headers may add to the record it carries."""

DELIVERY_SHARE = 0.5
"""Share of a lease that a delivery may take: what a relay gave up must not be sent after its lease ran out (R2)."""


class Message(NamedTuple):
    """What is produced."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp: int | None = None


class Producer:
    """Produces batches of messages and says for each whether the broker has it. Made by `open_producer`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._deadline = settings.lease * DELIVERY_SHARE
        self._client: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def produce(self, topic: str, messages: Sequence[Message]) -> list[kafka.KafkaError | None]:
        """Produce messages in their order; return for each None once acknowledged by all in-sync replicas, or why not.

        Raises `BrokerUnavailable` when not one was acknowledged because Kafka cannot be reached, `Misfit` when it
        refuses us; but not when a message was too large: that one may be why the others failed.
        """
        client = await self._started()
        sent: list[asyncio.Future[Any]] = []
        broken: kafka.KafkaError | None = None
        try:
            async with asyncio.timeout(self._deadline):
                for message in messages:
                    sent.append(await _send(client, topic, message))  # noqa: PERF401 - a timeout keeps what was sent
                if sent:
                    await asyncio.wait(sent)
        except TimeoutError:
            broken = kafka.KafkaTimeoutError(f"not acknowledged within {self._deadline:g} seconds")
        except kafka.KafkaError as error:
            broken = error
        if broken or not all(map(_is_sequence_whole, sent)):
            await self._give_up(client)
        failures = [_failure(future) for future in sent] + [broken] * (len(messages) - len(sent))
        is_outage = bool(failures) and not any(failure is None or is_about_the_message(failure) for failure in failures)
        if is_outage:
            with translated():
                raise broken or next(filter(None, failures))
        return failures

    async def open(self) -> None:
        """Connect. Raises `BrokerUnavailable`, `Misfit` or `InvalidSettings`."""
        await self._started()

    async def close(self) -> None:
        """Flush for a moment, and disconnect. What is lost was not acknowledged: whoever handed it in repeats it."""
        client = self._client
        if client:
            try:
                await stop_within(client.flush(), "producer")
            finally:
                await self._give_up(client)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._client is None:
                client = _client(self._settings)
                try:
                    with translated():
                        async with asyncio.timeout(self._deadline):
                            await client.start()
                except BaseException:
                    await stop_within(_stopped(client), "producer")
                    raise
                self._client = client
            return self._client

    async def _give_up(self, client: AIOKafkaProducer) -> None:
        """Drop what the client still holds, disconnect it; the next batch gets a new one."""
        if self._client is client:
            self._client = None
        _drop_buffered(client)
        await stop_within(_stopped(client), "producer")


async def _stopped(client: AIOKafkaProducer) -> None:
    try:
        await client.stop()
    finally:
        await client.client.close()  # what a stop that was cut short has left open


@asynccontextmanager
async def open_producer(settings: Settings) -> AsyncIterator[Producer]:
    """Connect a producer; flush and disconnect it at the end."""
    producer = Producer(settings)
    await producer.open()
    try:
        yield producer
    finally:
        await producer.close()


def is_about_the_message(failure: kafka.KafkaError) -> bool:
    """Tell a failure of this very message from one of the connection."""
    return isinstance(failure, kafka.MessageSizeTooLargeError | kafka.RecordListTooLargeError)


class _TooLargeToSend(kafka.MessageSizeTooLargeError):  # type: ignore[misc]  # aiokafka's class is untyped
    """Refused before it was sent: the sequence is whole."""


def _client(settings: Settings) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        **connection(settings),
        acks="all",
        enable_idempotence=True,
        compression_type=None if settings.kafka_compression == "none" else settings.kafka_compression,
        max_request_size=settings.kafka_max_message_bytes + ENVELOPE,
        max_batch_size=131_072,
    )


async def _send(client: AIOKafkaProducer, topic: str, message: Message) -> "asyncio.Future[Any]":
    value = b"" if message.value is None and message.key is None else message.value
    try:
        future: asyncio.Future[Any] = await client.send(
            topic, value, key=message.key, headers=list(message.headers), timestamp_ms=message.timestamp
        )
    except kafka.MessageSizeTooLargeError as error:
        refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        refused.set_exception(_TooLargeToSend(*error.args))
        return refused
    return future


def _drop_buffered(client: AIOKafkaProducer) -> None:
    """Fail what is not delivered. aiokafka has no public way to, and its stop() would wait until it is delivered."""
    buffer = client._message_accumulator  # noqa: SLF001
    buffer.fail_all(kafka.ProducerClosed("given up"))
    for batches in buffer._batches.values():  # noqa: SLF001
        for batch in batches:
            batch._drain_waiter.exception()  # noqa: SLF001 - nobody waits for it, and asyncio would complain


def _is_sequence_whole(future: "asyncio.Future[Any]") -> bool:
    return future.done() and (future.exception() is None or isinstance(future.exception(), _TooLargeToSend))


def _failure(future: "asyncio.Future[Any]") -> kafka.KafkaError | None:
    error = future.exception() if future.done() else kafka.KafkaTimeoutError("given up")
    assert error is None or isinstance(error, kafka.KafkaError)
    return error

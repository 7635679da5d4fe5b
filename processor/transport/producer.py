"""One idempotent producer per process (acks=all), replaced by a new one when it broke.

aiokafka 0.14, learnt from its source:

- an idempotent producer never gives up: what it was handed is tried again for as long as an outage lasts, and `stop`
  waits for it. Here every batch has a deadline, and what is reported as failed is not sent later;
- a batch that the broker refused leaves a gap in the sequence, after which every batch of that partition is refused:
  so any failure but a message found too large beforehand costs the producer;
- it cannot produce a message with neither key nor value;
- `send` makes a future for each message and looks its topic up: batches are put together by us (`batches.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from processor.ports.stream import DELIVERY_SHARE
from processor.settings import Settings
from processor.transport.batches import Batch, Message, batched, partitioning
from processor.transport.connect import connection, stop_within, translated

ENVELOPE = 65_536
"""Bytes that a dead letter's headers may add to the record it carries."""

BATCH = 524_288
"""Bytes of a batch before it is compressed: a partition has one under way at a time, and brokers take a megabyte."""


class Producer:
    """Produces batches of messages and says for each whether the broker has it. Made by `open_producer`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._patience = settings.lease * DELIVERY_SHARE
        self._client: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    def deadline(self) -> float:
        """Return until when, on the event loop's clock, what is delivered from now on has to be acknowledged."""
        return asyncio.get_running_loop().time() + self._patience

    async def produce(
        self, topic: str, messages: Sequence[Message], until: float | None = None
    ) -> list[kafka.KafkaError | None]:
        """Produce messages in their order; return for each None once acknowledged by all in-sync replicas, or why not.

        `until` is a `deadline` that has begun before; a batch that the broker finds too large is refused as a whole.
        Raises `BrokerUnavailable` when not one was acknowledged because Kafka cannot be reached, `Misfit` when it
        refuses us; but not when a message was too large: that one may be why the others failed.
        """
        failures: list[kafka.KafkaError | None] = list(map(self._misfit, messages))
        fitting = [number for number, failure in enumerate(failures) if failure is None]
        if not fitting:
            return failures
        client = await self._started()
        sent: list[_Sent] = []
        try:
            broken = await _deliver(client, topic, messages, fitting, until or self.deadline(), sent)
        except asyncio.CancelledError:  # nor is that sent later: another relay may be at it by then (R2)
            await self._give_up(client)
            raise
        if broken or any(not future.done() or future.exception() for _, future in sent):
            await self._give_up(client)
        if broken:
            failures = [failure or broken for failure in failures]
        for batch, future in sent:
            outcome = _failure(future)
            for number in batch.numbers:
                failures[number] = outcome
        is_outage = not any(failure is None or is_about_the_message(failure) for failure in failures)
        if is_outage:
            with translated():
                raise broken or next(filter(None, failures))
        return failures

    def _misfit(self, message: Message) -> kafka.KafkaError | None:
        """Say so if a message is too large to be sent at all."""
        size = DefaultRecordBatchBuilder.estimate_size_in_bytes(message.key, message.value, list(message.headers))
        most = self._settings.kafka_max_message_bytes + ENVELOPE
        return kafka.MessageSizeTooLargeError(f"{size} bytes, more than {most}") if size > most else None

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
                        async with asyncio.timeout(self._patience):
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


def _client(settings: Settings) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        **connection(settings),
        acks="all",
        enable_idempotence=True,
        compression_type=None if settings.kafka_compression == "none" else settings.kafka_compression,
        max_request_size=settings.kafka_max_message_bytes + ENVELOPE,
        max_batch_size=min(BATCH, settings.kafka_max_message_bytes // 2),
    )


_Sent = tuple[Batch, "asyncio.Future[Any]"]
"""A batch, and what becomes of it."""


async def _deliver(
    client: AIOKafkaProducer,
    topic: str,
    messages: Sequence[Message],
    numbers: Sequence[int],
    until: float,
    sent: list[_Sent],
) -> kafka.KafkaError | None:
    """Send the messages that have these numbers and wait for what becomes of them; `sent` grows by each batch.

    Return why not all were sent, or not all have been told of by `until`; else None.
    """
    seconds = until - asyncio.get_running_loop().time()
    if seconds <= 0:  # the timeout alone strikes at the first await that waits, when a batch may be on its way (R2)
        return kafka.KafkaTimeoutError("no time was left to send it")
    try:
        async with asyncio.timeout_at(until):
            for batch in batched(messages, numbers, await partitioning(client, topic), client.create_batch):
                future = await client.send_batch(batch.builder, topic, partition=batch.partition)
                sent.append((batch, future))
            await asyncio.wait([future for _, future in sent])
    except TimeoutError:
        return kafka.KafkaTimeoutError(f"not acknowledged within {seconds:.3g} seconds")
    except AssertionError as error:  # aiokafka's, if the partition is gone: the topic was made anew
        return kafka.UnknownTopicOrPartitionError(str(error))
    except kafka.KafkaError as error:
        return error
    return None


def _drop_buffered(client: AIOKafkaProducer) -> None:
    """Fail what is not delivered. aiokafka has no public way to, and its stop() would wait until it is delivered."""
    buffer = client._message_accumulator  # noqa: SLF001
    buffer.fail_all(kafka.ProducerClosed("given up"))
    for batches in buffer._batches.values():  # noqa: SLF001
        for batch in batches:
            batch._drain_waiter.exception()  # noqa: SLF001 - nobody waits for it, and asyncio would complain


def _failure(future: "asyncio.Future[Any]") -> kafka.KafkaError | None:
    error = future.exception() if future.done() else kafka.KafkaTimeoutError("given up")
    assert error is None or isinstance(error, kafka.KafkaError)
    return error

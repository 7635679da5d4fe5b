"""Polls of a member's consumer, one at a time, each a task of its own (see `consumer.py`)."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from processor.errors import BrokerUnavailable
from processor.settings import Settings
from processor.transport.careful import fetch_carefully, has_unreadable
from processor.transport.gate import Gate
from processor.transport.runs import Message
from processor.transport.starting import Growth


class Polled(NamedTuple):
    """Records, and the generation of the assignment that they were polled under."""

    generation: int
    messages: Mapping[TopicPartition, Sequence[Message]]


class Polling:
    """A poll goes on until somebody takes what it has got; only then the next one begins."""

    def __init__(self, settings: Settings, gate: Gate) -> None:
        self._settings = settings
        self._gate = gate
        self._growth = Growth(settings)
        self._task: asyncio.Task[Polled] | None = None
        self.is_careful = False

    def of(self, consumer: AIOKafkaConsumer) -> "asyncio.Task[Polled]":
        """Return the poll that goes on, or the next one."""
        if self._task is None:
            self._task = asyncio.create_task(self._poll(consumer))
        return self._task

    @property
    def has_failed(self) -> bool:
        """Whether the poll that nobody has taken has raised something."""
        task = self._task
        return bool(task and task.done() and (task.cancelled() or task.exception()))

    def take(self) -> Polled | None:
        """Return what was polled and not taken, once; None when nothing was yet. Raises what the poll has raised."""
        if self._task is None or not self._task.done():
            return None
        task, self._task = self._task, None
        return task.result()

    @property
    def untaken(self) -> Mapping[TopicPartition, int]:
        """Where what was polled and not taken begins, if it is of this assignment."""
        task = self._task
        if task is None or not task.done() or self.has_failed or task.result().generation != self._gate.generation:
            return {}
        return {partition: messages[0].offset for partition, messages in task.result().messages.items() if messages}

    async def stop(self) -> None:
        """Give the poll up, and what it has got."""
        task, self._task = self._task, None
        if task:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _poll(self, consumer: AIOKafkaConsumer) -> Polled:
        settings, generation = self._settings, self._gate.generation
        if self.is_careful:
            messages = await fetch_carefully(consumer, consumer.assignment(), settings.batch_records)
            if generation != self._gate.generation:  # it polls several times: what it has need not be in a row
                raise BrokerUnavailable("partitions went while an unreadable record was looked for: it is begun anew")
            self.is_careful = not has_unreadable(messages)
            if not messages:
                await asyncio.sleep(settings.poll_timeout)
        else:
            messages = await consumer.getmany(
                timeout_ms=int(settings.poll_timeout * 1000), max_records=settings.batch_records
            )
        self._growth.look(consumer)
        # Read after `getmany`, with no await between: the records belong to the assignment of this instant.
        return Polled(self._gate.generation, messages)

"""Offsets on their way to the group: a commit is awaited beside the next batch, not after its own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from aiokafka import TopicPartition

Offsets = Mapping[TopicPartition, int]


class Commits:
    """One request at a time; what is given meanwhile goes with the next, and no more than that waits.

    Offsets are given once all that they cover is durable (I1). At most three batches are done that the group does not
    know of: what a crash then brings again is harmless (I2). `send` commits; a commit that the group does not take any
    more has to be told there, not raised.
    """

    def __init__(self, send: Callable[[Offsets], Awaitable[None]]) -> None:
        self._send = send
        self._due: dict[TopicPartition, int] = {}
        self._sending: asyncio.Task[None] | None = None
        self._turn = asyncio.Event()

    async def room(self) -> None:
        """Wait until something can be given. Raises what an earlier commit failed with."""
        while self._due:
            self.go_on()
            self._turn.clear()
            await self._turn.wait()

    def give(self, offsets: Offsets) -> None:
        """Have the offsets committed."""
        self._due.update(offsets)
        self.go_on()

    def go_on(self) -> None:
        """Begin again after a failure, which is raised first: to be called now and then."""
        if self._sending and self._sending.done():
            sending, self._sending = self._sending, None
            sending.result()
        if self._due and not self._sending:
            self._sending = asyncio.create_task(self._send_all())

    async def settle(self) -> None:
        """Wait until all is committed. Raises what a commit failed with."""
        while self._sending or self._due:
            self.go_on()
            if self._sending:
                await asyncio.wait([self._sending])

    async def drop(self) -> None:
        """Forget what is due, and give up what is under way: the partitions are another's now."""
        self._due.clear()
        sending, self._sending = self._sending, None
        if sending:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        self._turn.set()

    async def _send_all(self) -> None:
        try:
            while self._due:
                sent, self._due = self._due, {}
                self._turn.set()
                try:
                    await self._send(sent)
                except Exception:  # not a cancellation: what is given up is due no more
                    self._due = {**sent, **self._due}
                    raise
        finally:
            self._turn.set()

"""Offsets on their way to the group: a commit is awaited beside the next batches, not after its own."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from aiokafka import TopicPartition

Offsets = Mapping[TopicPartition, int]

PACE = 0.025
"""Seconds from one commit to the next: a commit is a record to the brokers, however little it covers."""


class Commits:
    """One request at a time, `pace` seconds apart; what is given meanwhile goes with the next.

    Offsets are given once all that they cover is durable (I1). The group does not know of the batches done within the
    last `pace`, of those that a request carries, and of two more that may be done until it is answered, one given and
    one that waits for room: what a crash then brings again is harmless (I2). `send` commits; a commit that the group
    does not take any more has to be told there, not raised.
    """

    def __init__(self, send: Callable[[Offsets], Awaitable[None]], pace: float = PACE) -> None:
        self._send = send
        self._pace = pace
        self._due: dict[TopicPartition, int] = {}
        self._sending: asyncio.Task[None] | None = None
        self._is_asked = False
        self._next = 0.0
        self._at_once = asyncio.Event()
        self._turn = asyncio.Event()

    async def room(self) -> None:
        """Wait until something can be given. Raises what an earlier commit failed with."""
        self.go_on()
        while self._due and self._is_asked:
            self._turn.clear()
            await self._turn.wait()
            self.go_on()

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
        """Have all committed at once, and wait until it is. Raises what a commit failed with."""
        self._at_once.set()
        try:
            while self._sending or self._due:
                self.go_on()
                if self._sending:
                    await asyncio.wait([self._sending])
        finally:
            self._at_once.clear()

    async def drop(self) -> None:
        """Forget what is due, and give up what is under way: the partitions are another's now."""
        self._due.clear()
        sending, self._sending = self._sending, None
        if sending:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        self._turn.set()

    async def _send_all(self) -> None:
        while self._due:
            await self._pause()
            sent, self._due = self._due, {}
            self._is_asked = True
            self._turn.set()
            try:
                await self._send(sent)
            except Exception:  # not a cancellation: what is given up is due no more
                self._due = {**sent, **self._due}
                raise
            finally:
                self._is_asked = False
                self._turn.set()

    async def _pause(self) -> None:
        """Wait until `pace` is over since the last request, or somebody waits for all."""
        clock = asyncio.get_running_loop().time
        if clock() < self._next:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._next):
                    await self._at_once.wait()
        self._next = clock() + self._pace

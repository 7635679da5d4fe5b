"""A child of `--processes N`: what it has of its own, how it tells how it is, how it learns that its parent died."""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from select import select

import orjson
import structlog

from processor.services.liveness import Vitals
from processor.settings import PREFIX, Settings

TELL_SECONDS = 1.0
"""How often a child tells how it is."""

SILENCE = 15.0
"""Seconds without a word after which a child counts as stuck; it tells from its event loop."""

SERVING = 1
"""The child that serves HTTP_PORT, for all: `/metrics` and `/health`, and with HTTP_API the interfaces."""


def own_settings(settings: Settings, number: int) -> dict[str, str]:
    """Return, as environment variables, what a child must not share with its siblings."""
    own = {"CLIENT_ID": f"{settings.client_id}-{number}"}
    if settings.group_instance_id is not None:
        own["GROUP_INSTANCE_ID"] = f"{settings.group_instance_id}-{number}"
    if number != SERVING:
        own |= {"HTTP_PORT": "0", "HTTP_API": "false"}
    return {f"{PREFIX}{name}": value for name, value in own.items()}


@dataclass(frozen=True, slots=True)
class Word:
    """What a child last said: whether its start is over, and its faults as `Vitals` has them."""

    number: int
    has_begun: bool
    live: Sequence[str]
    ready: Sequence[str]
    said: float

    @property
    def is_late(self) -> bool:
        """Whether it has been silent for too long."""
        return time.time() - self.said > SILENCE


@dataclass(frozen=True, slots=True)
class Words:
    """The words of `count` children, a file each in the directory that their parent made for them."""

    directory: Path
    count: int

    def say(self, word: Word) -> None:
        """Let the parent and the siblings know; whoever reads sees the whole word or the one before."""
        draft = self._file(word.number).with_suffix(".draft")
        draft.write_bytes(orjson.dumps(word))
        draft.replace(self._file(word.number))

    def heard(self, number: int) -> Word | None:
        """Return what a child last said, if it lives and has said anything."""
        try:
            return Word(**orjson.loads(self._file(number).read_bytes()))
        except FileNotFoundError:
            return None

    def forget(self, number: int) -> None:
        """Take back the word of a child that died. Called by the parent."""
        self._file(number).unlink(missing_ok=True)

    def faults(self, of: Callable[[Word], Sequence[str]], number: int) -> list[str]:
        """Return the faults of all but this child, which says `number`; one that is being started has none."""
        words = [self.heard(other) for other in range(1, self.count + 1) if other != number]
        return [
            f"process {word.number}: {fault}"
            for word in words
            if word
            for fault in ([f"silent for more than {SILENCE:g} s"] if word.is_late else of(word))
        ]

    def absent(self) -> list[str]:
        """Return a sentence for each child that has not said anything yet."""
        return [f"process {other} is starting" for other in range(1, self.count + 1) if not self.heard(other)]

    def clear_away(self, number: int) -> None:
        """Take back the word of a child that ends without a parent; the last one removes the directory."""
        self.forget(number)
        with suppress(FileNotFoundError):  # of two that end at once one may remove it while the other looks
            if not any(self.directory.glob("process-*.json")):
                shutil.rmtree(self.directory, ignore_errors=True)

    def _file(self, number: int) -> Path:
        return self.directory / f"process-{number}.json"


@dataclass(frozen=True, slots=True)
class Child:
    """One of the children, as it sees itself; `beside` goes on beside its loops."""

    number: int
    words: Words

    def announce(self) -> None:
        """Tell that this child starts, before it puts anything into the directory: no sibling removes that now."""
        self.words.say(Word(self.number, has_begun=False, live=[], ready=["starting"], said=time.time()))

    @asynccontextmanager
    async def beside(self, vitals: Vitals) -> AsyncIterator[None]:
        """Tell how this child is; let the one that serves answer for its siblings too."""
        if self.number == SERVING:
            vitals.heed(lambda: self.words.faults(lambda word: word.live, self.number))
            vitals.watch(self._siblings)
        telling = asyncio.create_task(self._tell(vitals), name="telling")
        try:
            yield
        finally:
            telling.cancel()
            await asyncio.wait([telling])

    async def _siblings(self) -> str | None:
        faults = self.words.absent() + self.words.faults(lambda word: word.ready, self.number)
        return "; ".join(faults) or None

    async def _tell(self, vitals: Vitals) -> None:
        """Tell again and again. What goes wrong costs one word: without any this process counts as stuck for ever."""
        while True:
            try:
                live = await vitals.live()
                ready = await vitals.ready()
                self.words.say(Word(self.number, vitals.has_begun, live, ready, time.time()))
            except Exception:  # noqa: BLE001 - whatever it is, the loops go on, and so must this
                structlog.get_logger(__name__).exception("could not tell how this process is, trying again")
            await asyncio.sleep(TELL_SECONDS)


def has_parent() -> bool:
    """Tell whether the parent still holds its end of standard input, into which it never writes."""
    return not select([sys.stdin], [], [], 0)[0]


def stop_without_parent(stop: asyncio.Event) -> None:
    """Set `stop` when the parent is gone, killed or not: standard input is a line that it holds the other end of."""
    loop = asyncio.get_running_loop()
    lifeline = sys.stdin.fileno()

    def heard() -> None:
        if not os.read(lifeline, 1):
            loop.remove_reader(lifeline)
            if not stop.is_set():
                structlog.get_logger(__name__).warning("the parent is gone, stopping")
                stop.set()

    loop.add_reader(lifeline, heard)

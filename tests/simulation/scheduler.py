"""Whose turn it is: at every effect a process waits here, and the seed decides who goes on, and what goes wrong."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Protocol

from processor.errors import BrokerUnavailable, StoreUnavailable
from tests.builders import START
from tests.simulation.loop import SimulatedLoop
from tests.simulation.schedule import WINDOW, Fault, Kind, Schedule

BROKERS = ("poll", "commit", "park", "publish")

TARDY = (0.3, 1.0, 3.0)
"""Seconds that one call in twenty takes, without anything being wrong."""


class Crashed(BaseException):
    """The process is gone; nothing that it still does reaches the world."""


class Stuck(Exception):
    """Nothing can ever happen again, or it goes on for ever."""


@dataclass
class Client:
    """Publishes statements and edits journeys; it never fails."""

    name: str = "client"
    is_frozen: bool = False
    is_dead: bool = False
    is_done: bool = False


class Actor(Protocol):
    """What takes turns: a process, or the client."""

    name: str
    is_frozen: bool
    is_dead: bool


@dataclass(eq=False)
class Turn:
    """One actor that waits at one effect, not to go on before `since`."""

    actor: Actor
    effect: str
    future: "asyncio.Future[None]"
    since: float = 0.0

    @property
    def server(self) -> str:
        return "broker" if self.effect.split(".")[0] in BROKERS else "store"


@dataclass
class Scheduler:
    """One world's time, turns and faults.

    `strike` does to the world what a fault wants, `look` is called at every step, `settle` whenever time passes.
    """

    random: Random
    schedule: Schedule
    strike: Callable[[Fault, Turn], None]
    look: Callable[[], None]
    settle: Callable[[], None]
    step: int = 0
    trace: list[str] = field(default_factory=list)
    struck: list[Fault] = field(default_factory=list)
    away: dict[str, float] = field(default_factory=dict)
    turns: list[Turn] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.loop = SimulatedLoop(self._next)
        self._left = list(self.schedule)

    @property
    def is_calm(self) -> bool:
        """Whether no fault is left to come."""
        return not self._left and not self.away

    def now(self) -> datetime:
        """The simulated time of day, in milliseconds (`ports.Clock`)."""
        return START + timedelta(milliseconds=int(self.loop.time() * 1000))

    async def turn(self, actor: Actor, effect: str) -> None:
        """Wait until it is this actor's turn to go on; raises what the schedule wants to happen here."""
        if actor.is_dead:
            raise Crashed
        late = self.random.choice(TARDY) if self.random.random() < 0.05 else 0.0
        turn = Turn(actor, effect, self.loop.create_future(), self.loop.time() + late)
        self.turns.append(turn)
        try:
            await turn.future
        finally:
            if turn in self.turns:
                self.turns.remove(turn)

    def crash(self, actor: Actor) -> None:
        """Let everything that the actor waits for end in its death."""
        for turn in [turn for turn in self.turns if turn.actor is actor]:
            self.turns.remove(turn)
            if not turn.future.done():
                turn.future.set_exception(Crashed())
                turn.future.exception()  # nobody may be left to hear it

    def _next(self) -> None:
        """Let one turn go on, or the time."""
        self.look()
        now = self.loop.time()
        self.away = {server: until for server, until in self.away.items() if until > now}
        ready = [it for it in self.turns if not it.actor.is_frozen and it.since <= now and not it.future.done()]
        if not ready or self.random.random() < 0.02:
            self._elapse()
            return
        turn = self.random.choice(ready)
        self.step += 1
        self.loop.elapse(self.random.choice((0.0, 0.005, 0.02, 0.05)))
        fault = self._due(turn)
        if fault:
            self.struck.append(fault)
            self.trace.append(f"{self.step:5} {fault.kind} ({fault.seconds} s) at {turn.actor.name} {turn.effect}")
            self._fault(fault, turn)
            return
        self.trace.append(f"{self.step:5} {turn.actor.name} {turn.effect}")
        if turn.server in self.away and not isinstance(turn.actor, Client):
            self._fail(turn)
        else:
            self._release(turn)

    def _due(self, turn: Turn) -> Fault | None:
        self._left = [fault for fault in self._left if fault.step + WINDOW > self.step]
        for fault in self._left:
            if fault.step > self.step:
                break
            if turn.effect.startswith(fault.place) and not isinstance(turn.actor, Client):
                self._left.remove(fault)
                return fault
        return None

    def _elapse(self) -> None:
        later = [turn.since - self.loop.time() for turn in self.turns if turn.since > self.loop.time()]
        timer = self.loop.next_timer()
        waits = [*later, *([] if timer is None else [timer])]
        if not waits:
            if all(turn.actor.is_frozen for turn in self.turns):
                raise Stuck("every process waits, and for nothing")
            return
        self.loop.elapse(max(min(waits), 0.0001))
        self.settle()

    def _fault(self, fault: Fault, turn: Turn) -> None:
        if fault.kind is Kind.FAIL:
            self._fail(turn)
        elif fault.kind is Kind.SLOW:
            turn.since = self.loop.time() + fault.seconds
        elif fault.kind is Kind.AWAY:
            self.away[turn.server] = self.loop.time() + fault.seconds
        elif fault.kind is Kind.LAPSE:
            self.loop.elapse(21)
        else:
            self.strike(fault, turn)

    def _fail(self, turn: Turn) -> None:
        error = BrokerUnavailable if turn.server == "broker" else StoreUnavailable
        self.turns.remove(turn)
        turn.future.set_exception(error(f"the fault that the schedule wants at {turn.effect}"))

    def _release(self, turn: Turn) -> None:
        self.turns.remove(turn)
        turn.future.set_result(None)

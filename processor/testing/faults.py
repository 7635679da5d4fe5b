"""How the fakes announce their durable effects, so that a test can crash, fail or pause around each.

A fake calls its `faults` with the name of an effect right before and right after it: `apply.before`, `apply.after`.
What `faults` raises goes to the caller, as a crash or an outage would; what it returns is awaited, so that others can
act in between, as they can between two calls to a server.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Faults = Callable[[str], Awaitable[None] | None]


def no_faults(_effect: str) -> None:
    """Let every effect happen, at once."""


async def announce(faults: Faults, name: str) -> None:
    """Tell `faults`, and wait for what it returns."""
    turn = faults(name)
    if turn is not None:
        await turn


@asynccontextmanager
async def effect(faults: Faults, name: str) -> AsyncIterator[None]:
    """Announce a durable effect before and after; what decides about it has to be asked within."""
    await announce(faults, f"{name}.before")
    yield
    await announce(faults, f"{name}.after")

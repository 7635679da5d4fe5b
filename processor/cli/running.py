"""`run`, `ingest`, `promote`, `relay`: the loops, until SIGTERM or Ctrl-C."""

import asyncio
import gc
import signal
from collections.abc import Callable, Sequence

import typer

from processor.app import Part, run_processor
from processor.cli.console import run, settings_of
from processor.settings import Settings

HELP = {
    "run": "Run all loops in one process. Start as many as you like: they share the work.",
    "ingest": "Run only ingest: statements to pendingProgress.",
    "promote": "Run only the promoter: pendingProgress to completions.",
    "relay": "Run only the relay: outbox to progress-updated events.",
}

COLLECT_AFTER = (50_000, 20, 20)
"""When Python looks for cycles to free: after so many more objects than went away, not after its usual 700.

A batch of 2,000 statements is some 50,000 objects that are all alive, none of them in a cycle; they go by themselves
with the batch. Looking through them again and again took half of the time of decoding.
"""


def add_to(app: typer.Typer) -> None:
    """Add the four commands."""
    for name, text in HELP.items():
        parts = tuple(Part) if name == "run" else (Part(name),)
        about = f"{text}\n\nSIGTERM and Ctrl-C drain: what is in hand is finished within SHUTDOWN_DEADLINE."
        app.command(name, help=about)(_command(parts))


def _command(parts: Sequence[Part]) -> Callable[[typer.Context], None]:
    def command(context: typer.Context) -> None:
        gc.set_threshold(*COLLECT_AFTER)
        run(_until_signalled(settings_of(context), parts))

    return command


async def _until_signalled(settings: Settings, parts: Sequence[Part]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run_processor(settings, parts, stop)

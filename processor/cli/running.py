"""`run`, `ingest`, `promote`, `relay`, `recalculation`: the loops, until SIGTERM or Ctrl-C."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import structlog
import typer

from processor.app import Part, run_processor
from processor.cli.children import Child, Words, has_parent, stop_without_parent
from processor.cli.console import http_module, run, settings_of
from processor.cli.processes import Parent, children, time_to_end
from processor.metrics import SHARED
from processor.settings import Settings

HELP = {
    "run": "Run all loops. Start as many as you like, or give `--processes`: they share the work.",
    "ingest": "Run only ingest: statements to pendingProgress.",
    "promote": "Run only the promoter: pendingProgress to completions.",
    "relay": "Run only the relay: outbox to progress-updated events.",
    "recalculation": "Run only the recalculations that `recalculate` or an interface asked for.",
}

COLLECT_AFTER = (200_000, 20, 20)
"""When Python looks for cycles to free: after so many more objects than went away, not after its usual 700.

The objects of a batch are very many and all alive, none of them in a cycle; they go by themselves with the batch.
Looking through them again and again took half of the time of decoding, when each statement was read whole.
"""

Processes = Annotated[
    int, typer.Option("--processes", min=1, metavar="N", help="Run N processes of one event loop each, and watch them.")
]
Number = Annotated[int | None, typer.Option("--child", hidden=True, help="Which of the processes this one is.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for name, text in HELP.items():
        about = f"{text}\n\nSIGTERM and Ctrl-C drain: what is in hand is finished within SHUTDOWN_DEADLINE."
        app.command(name, help=about)(_command(name))


def _command(name: str) -> Callable[[typer.Context, int, int | None], None]:
    parts = tuple(Part) if name == "run" else (Part(name),)

    def command(context: typer.Context, processes: Processes = 1, child: Number = None) -> None:
        settings = settings_of(context)
        if child is None and processes > 1:
            code = _watched(settings, name, processes, context.find_root().obj)
            raise typer.Exit(code)
        collect_seldom()
        if child is None:
            run(_until_signalled(settings, parts))
            return
        structlog.contextvars.bind_contextvars(process=child)
        words = Words(Path(os.environ[SHARED]), processes)
        ours = Child(child, words)
        try:
            if has_parent():
                ours.announce()
                run(_until_signalled(settings, parts, ours))
        finally:
            if not has_parent():
                words.clear_away(child)

    return command


def collect_seldom() -> None:
    """Have Python look for cycles as seldom as the loops need: for a process that is theirs."""
    gc.set_threshold(*COLLECT_AFTER)


def _watched(settings: Settings, name: str, processes: int, env_file: Path | None) -> int:
    async def watch() -> int:
        stop = stop_at_signals()
        return await Parent(commands, words, stop, time_to_end(settings), settings.outage_backoff).watch()

    with children(settings, name, processes, env_file) as (commands, words):
        return asyncio.run(watch())


async def _until_signalled(settings: Settings, parts: Sequence[Part], child: Child | None = None) -> None:
    outside = http_module("server").outside(settings) if settings.http_api else None
    stop = stop_at_signals()
    if child:
        stop_without_parent(stop)
    await run_processor(settings, parts, stop, outside, child.beside if child else None)


def stop_at_signals() -> asyncio.Event:
    """Return an event that SIGTERM and Ctrl-C set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop

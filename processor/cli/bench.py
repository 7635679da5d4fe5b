"""`bench`: how fast this cluster is, and how many processes a load takes."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from processor import benching
from processor.benching import Plan, Told
from processor.cli.console import AsJson, print_json, print_table, run, settings_of, warn
from processor.cli.interrupting import cancelled_by_signals, interruption_translated, second_signal
from processor.cli.running import collect_seldom
from processor.core.sample import Sample
from processor.core.sizing import HEADROOM, Measured
from processor.grounds import Left, grounds
from processor.log import configure_logs
from processor.settings import Settings

PERCENTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


def bench(
    context: typer.Context,
    statements: Annotated[
        int, typer.Option(help="Statements to produce and process; of few, the start is timed, too.", min=100)
    ] = 50_000,
    match_rate: Annotated[float, typer.Option(help="Share of them that match a waypoint.", min=0, max=1)] = 0.05,
    journeys: Annotated[int, typer.Option(help="Journeys that are loaded.", min=1)] = 100,
    rate: Annotated[float | None, typer.Option(help="Statements a second that you expect at most.", min=0.001)] = None,
    prefix: Annotated[
        str, typer.Option(help="Beginning of every topic, the group and the database.", metavar="NAME")
    ] = "journey-progress-bench",
    as_json: AsJson = False,
) -> None:
    """Measure this processor on your own Kafka and MongoDB, and say what that means for their size.

    Makes topics and a database of its own, produces statements, runs the loops of one process, and removes all of it,
    also when it is interrupted (a second time: it ends, and names what is left); the empty consumer group expires by
    itself. It touches nothing that is there, but it takes what CPU, disk and network the servers have: other users of
    them will notice.

    Every statement that matches is a learner's first, and makes a document. Those of learners who have begun cost
    MongoDB more: their document is looked for, read and updated, and its event forgotten. Latency is timed at a third
    of the rate that was found, though never above 3,000 a second.
    """
    operators = settings_of(context)
    configure_logs("warning", operators.log_format)
    plan = Plan(statements, Sample(match_rate, journeys))
    collect_seldom()
    left: list[str] = []
    try:
        with _bar() as told:
            measured = run(_until_interrupted(grounds(operators, prefix, statements), plan, told, left.append))
        figures = _figures(measured, rate)
        if as_json:
            print_json(figures)
        else:
            print_table(["measured", ""], _rows(measured, figures))
    finally:
        with suppress(OSError):  # stderr may be gone
            for it in left:
                warn(it)


async def _until_interrupted(settings: Settings, plan: Plan, told: Told, left: Left) -> Measured:
    """SIGTERM and Ctrl-C end the measurement, and what was made is removed; a second one ends that, too."""
    heed = cancelled_by_signals()

    def told_and_heeded(what: str, done: int, total: int) -> None:
        heed()
        told(what, done, total)

    def removing() -> asyncio.Event:
        with suppress(OSError):  # stderr may be gone, what was made must go
            typer.echo("removing what was made …", err=True)
        return second_signal()

    with interruption_translated():
        return await benching.bench(settings, plan, told_and_heeded, removing, left)


@contextmanager
def _bar() -> Iterator[Told]:
    """Show progress bars on a terminal's stderr; the yielded function moves them."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:

        def told(what: str, done: int, total: int) -> None:
            task = tasks.setdefault(what, TaskID(-1))
            if task < 0:
                task = tasks[what] = progress.add_task(what, total=total)
            progress.update(task, completed=done)

        yield told


def _figures(measured: Measured, rate: float | None) -> dict[str, Any]:
    waits = {name: measured.percentile(share) for name, share in PERCENTILES.items()}
    return {
        "statements": measured.statements,
        "seconds": round(measured.seconds, 3),
        "rate": round(measured.rate, 1),
        "cpu_us_per_statement": round(measured.cpu / measured.statements * 1e6, 2),
        "cpu_share": round(measured.cpu / measured.seconds, 3),
        "mongo_writing_share": None if measured.mongo is None else round(measured.mongo / measured.seconds, 3),
        "matches": measured.matches,
        "promotions": measured.documents,
        "memory_mb": round(measured.memory / 1e6),
        "latency_rate": round(measured.paced, 1),
        "latency_ms": {name: None if wait is None else round(wait * 1000, 2) for name, wait in waits.items()},
        "limit": measured.limit,
        "processes": measured.processes_for(rate) if rate else None,
    }


def _rows(measured: Measured, figures: dict[str, Any]) -> list[tuple[str, str]]:
    waits = ", ".join(f"{name} {wait} ms" for name, wait in figures["latency_ms"].items() if wait is not None)
    share = figures["mongo_writing_share"]
    planned = HEADROOM * measured.rate
    rows = [
        ("statements per second, one process", f"{measured.rate:,.0f}"),
        ("CPU per statement", f"{figures['cpu_us_per_statement']} µs ({figures['cpu_share']:.0%} of a core)"),
        (
            "MongoDB writing, waiting for a majority included",
            "it does not say (role clusterMonitor)" if share is None else f"{share:.0%} of the time",
        ),
        ("matches, promotions", f"{measured.matches:,}, {measured.documents:,}"),
        ("memory at its peak", f"{figures['memory_mb']} MB, the producing and timing included"),
        (f"produce to event at {measured.paced:,.0f}/s", waits or "not measured: nothing matched in the time"),
        ("what limits", measured.limit),
        ("to plan with", f"{planned:,.0f} a second and process, and at least as many partitions as processes"),
    ]
    if figures["processes"]:
        rows.append(("processes for your rate", str(figures["processes"])))
    return rows

"""`demo`: the main job on this machine, on real (embedded) Kafka and MongoDB, watched live."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic_settings import PydanticBaseSettingsSource
from rich.console import Console
from rich.live import Live

from processor.app import Part, run_processor
from processor.cli.console import print_json, run
from processor.cli.demo_learners import ORGANISATION, statements
from processor.cli.demo_view import View
from processor.cli.interrupting import cancelled_by_signals, interruption_translated
from processor.cli.statements import key_of
from processor.embedded import Servers, embedded_servers
from processor.log import configure_logs
from processor.opening import Stores, open_stores
from processor.operating import apply_journeys, create_all_topics, open_events
from processor.operating import publish_statements as publish
from processor.settings import PREFIX, Settings
from processor.settings_together import OF_SASL, OF_TLS
from schemas.journey import journey_from, with_ids
from schemas.progress import render_progress

JOURNEYS = Path(__file__).with_name("demo_journey.yaml")
PACE = 0.05
"""Seconds between two small batches of the stream: slow enough to watch."""


class DemoSettings(Settings):
    """Settings that are not read: what is set for other servers would not fit the demo's own."""

    @classmethod
    def settings_customise_sources(cls, *_: object, **sources: Any) -> tuple[PydanticBaseSettingsSource]:
        """Name the only source: what the demo says."""
        return (sources["init_settings"],)


def demo(
    once: Annotated[bool, typer.Option("--once", help="End by itself when the stream has been processed.")] = False,
    learners: Annotated[int, typer.Option(help="Simulated learners.", min=1, max=5_000)] = 40,
    seed: Annotated[int, typer.Option(help="The same seed simulates the same learners.")] = 7,
) -> None:
    """Show the main job, end to end, on this machine alone.

    Starts a MongoDB and a Kafka broker of its own, publishes the statements of simulated learners, runs the
    processor and shows progress as it happens. Nothing is left behind, however it ends. Needs the extra `embedded`;
    settings are not read.
    """
    configure_logs("error")
    with embedded_servers() as servers:
        run(_until_interrupted(servers, once=once, learners=learners, seed=seed))


async def _until_interrupted(servers: Servers, *, once: bool, learners: int, seed: int) -> None:
    heed = cancelled_by_signals()
    with interruption_translated():
        settings = demo_settings(servers.kafka, servers.mongo_url)
        await _demo(settings, Console(), heed, once=once, learners=learners, seed=seed)


def demo_settings(kafka: str, mongo_url: str) -> Settings:
    """Return the settings of the demo on these servers."""
    return DemoSettings(
        kafka_bootstrap_servers=kafka,
        mongo_url=mongo_url,
        mongo_database="demo",
        default_organisation=ORGANISATION,
        topic_partitions=3,
        http_port=0,
        idle_pause=0.05,
    )


async def _demo(
    settings: Settings, console: Console, heed: Callable[[], None], *, once: bool, learners: int, seed: int
) -> None:
    documents = [with_ids({"organisation": ORGANISATION, **entry}) for entry in yaml.safe_load(JOURNEYS.read_text())]
    await create_all_topics(settings)
    await apply_journeys(settings, documents)
    stream = statements(learners, seed)
    view = View([journey_from(document) for document in documents], learners, len(stream))
    stop = asyncio.Event()
    processor = asyncio.create_task(run_processor(settings, tuple(Part), stop))
    publisher = asyncio.create_task(_publish(settings, stream, view))
    listener = asyncio.create_task(_listen(settings, view))
    try:
        async with open_stores(settings) as stores:
            await _watch(view, console, stores, [processor, publisher, listener], heed)
            heed()
            _tell(view, console)
            if not once:
                _tell_where_to_look(console, settings)
                console.print("The processor and the servers stay up. Ctrl-C ends everything.")
                await _until_asked(processor)
    finally:
        stop.set()
        for task in (publisher, listener):
            task.cancel()
        await asyncio.gather(processor, publisher, listener, return_exceptions=True)


async def _until_asked(processor: "asyncio.Task[None]") -> None:
    """Wait for the signal that is to come; raise what the processor ends with when it does so before."""
    try:
        await asyncio.wait([processor])
    except asyncio.CancelledError:
        return
    await processor


async def _publish(settings: Settings, stream: list[bytes], view: View) -> None:
    size = max(1, len(stream) // 120)
    for start in range(0, len(stream), size):
        chunk = stream[start : start + size]
        await publish(settings, [(key_of(line), line, []) for line in chunk])
        view.published += len(chunk)
        await asyncio.sleep(PACE)


async def _listen(settings: Settings, view: View) -> None:
    """A subscriber like any other: what dashboards would do with the events."""
    async with open_events(settings) as events:
        async for event in events:
            view.take(event)


async def _watch(
    view: View, console: Console, stores: Stores, tasks: list[asyncio.Task[None]], heed: Callable[[], None]
) -> None:
    """Show the view until everything that was published is promoted, published as events, and seen."""
    live = Live(view.render(), console=console, refresh_per_second=8) if console.is_terminal else None
    with live or contextlib.nullcontext():
        for tick in range(100_000):
            heed()
            for task in tasks:
                if task.done() and task.exception():
                    await task
            documents = [document async for document in stores.reader.find(limit=100_000)]
            view.documents = documents
            if live:
                live.update(view.render())
            elif tick % 10 == 0:
                typer.echo(view.line())
            if view.is_complete():
                return
            await asyncio.sleep(0.15)


def _tell(view: View, console: Console) -> None:
    """At the end: one learner's document, and its events."""
    if not console.is_terminal:
        typer.echo(view.line())
    document = max(view.documents, key=lambda found: sum(len(it["waypoints"]) for it in found["completions"]))
    console.rule("One learner's progress document")
    print_json(render_progress(document, with_pending=True))
    console.rule("Its events on topic journey.progress-updated")
    for event in view.events_of(str(document["_id"])):
        console.print(f"  {event['id']}  {', '.join(event['changes'])}")


def _tell_where_to_look(console: Console, settings: Settings) -> None:
    """What can be asked while the servers are there; the command as this one was called, as it need not be on PATH."""
    console.rule("Where to look next")
    for_others = [f"{PREFIX}{name.upper()}" for name in (*OF_SASL, *OF_TLS)]
    if taken_back := [f"{name}=" for name in for_others if name in os.environ or Path(".env").exists()]:
        typer.echo(f"  export {' '.join(taken_back)}")
    typer.echo(
        f"  export {PREFIX}KAFKA_BOOTSTRAP_SERVERS={settings.kafka_bootstrap_servers}"
        f" {PREFIX}KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol}\n"
        f"  export {PREFIX}MONGO_URL='{settings.mongo_url.get_secret_value()}' {PREFIX}MONGO_DATABASE=demo\n"
        f"  {sys.argv[0]} status · progress show · journeys list · dead-letters list   (while this runs)\n"
        "  README.md: run it for real, the guarantees and their tests"
    )

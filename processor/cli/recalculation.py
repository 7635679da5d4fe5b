"""`recalculate`: read the statements again under a journey as it is now."""

from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from typing import Annotated, Any

import typer
from bson import ObjectId
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from processor.cli.console import AsJson, Asked, print_json, print_table, run, settings_of
from processor.cli.looking import owner_name
from processor.errors import InvalidInput
from processor.recalculating import (
    cancel_recalculation,
    foresee_recalculation,
    start_recalculation,
    watch_recalculation,
)
from processor.services.foresight import Foreseen, Looked
from processor.settings import Settings
from schemas.rendering import rendered


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(recalculate)


def recalculate(
    context: typer.Context,
    journey: Annotated[str, typer.Argument(help="Id of a journey.", metavar="JOURNEY")],
    actor: Annotated[
        str | None,
        typer.Option(help="Only this one's progress: mail address, homePage|name, openid, JSON, or persona id."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would change, and write nothing.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show how far it is, until it has ended.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="End the one that was asked for.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read the statements again and mend the progress of one journey, as after its conditions have changed.

    What matches now counts; what was read and does not match any more is taken back; what the source (setting
    RECALCULATE_FROM) does not hold any more stays, and so do attempts completed under an older version. Running
    processors do it, besides the live stream; their events carry `replay`. A dry run is done here, in memory. What
    one that is cancelled has found or taken back until then stays so.
    """
    if cancel and (dry_run or wait or actor is not None):
        raise typer.BadParameter("goes with no other option", param_hint="--cancel")
    if not ObjectId.is_valid(journey):
        raise InvalidInput(f"journey {journey!r} is not an id of 24 hex digits")
    settings, key = settings_of(context, Asked.BOTH if dry_run else Asked.MONGODB), ObjectId(journey)
    if cancel:
        _cancel(settings, key, as_json=as_json)
    elif dry_run:
        _foresee(settings, key, actor, as_json=as_json)
    else:
        run(start_recalculation(settings, key, actor))
        if wait:
            _wait(settings, key, as_json=as_json)
        elif as_json:
            print_json(rendered(run(_status(settings, key))))
        else:
            typer.echo(f"recalculation of {journey} asked for; running processors do it")


def _cancel(settings: Settings, journey: ObjectId, *, as_json: bool) -> None:
    was_there = run(cancel_recalculation(settings, journey))
    if as_json:
        print_json({"journey": str(journey), "cancelled": was_there})
    else:
        typer.echo(f"recalculation of {journey} {'cancelled' if was_there else 'was not under way'}")


def _foresee(settings: Settings, journey: ObjectId, actor: str | None, *, as_json: bool) -> None:
    with _bar("reading") as looked:
        found = run(foresee_recalculation(settings, journey, actor, looked))
    _print_foreseen(found, as_json=as_json)


def _wait(settings: Settings, journey: ObjectId, *, as_json: bool) -> None:
    with _bar("recalculating") as looked:
        status = run(_until_ended(settings, journey, looked))
    if as_json:
        print_json(rendered(status))
    else:
        typer.echo("cancelled" if _is_cancelled(status) else f"recalculated, {status['totalCount']} looked at")


async def _status(settings: Settings, journey: ObjectId) -> dict[str, Any]:
    async with aclosing(watch_recalculation(settings, journey)) as seen:
        return dict(await anext(seen))


async def _until_ended(settings: Settings, journey: ObjectId, looked: Looked) -> dict[str, Any]:
    status: dict[str, Any] = {}
    async for seen in watch_recalculation(settings, journey):
        status = dict(seen)
        looked(status["totalCount"] - status["remainingCount"], status["totalCount"])
    return status


def _is_cancelled(status: dict[str, Any]) -> bool:
    return status["cancelledAt"] is not None and status["cancelledAt"] >= status["recalculatedAt"]


@contextmanager
def _bar(text: str) -> Iterator[Looked]:
    """Show a progress bar on a terminal's stderr; the yielded function moves it."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(text, total=None)
        yield lambda done, total: progress.update(task, completed=min(done, total), total=total or None)


def _print_foreseen(found: list[Foreseen], *, as_json: bool) -> None:
    if as_json:
        print_json([rendered({name: getattr(it, name) for name in Foreseen.__slots__}) for it in found])
        return
    kinds: Counter[str] = Counter(change["type"] for it in found for change in it.changes)
    told = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    print_table(["progress", "owner", "completed", "changes"], [_row(it) for it in found])
    typer.echo(f"{len(found)} documents would change{f': {told}' if told else ''}; nothing was written", err=True)


def _row(foreseen: Foreseen) -> tuple[str, str, str, str]:
    completed = {False: "no", True: "yes"}
    was, is_ = completed[foreseen.was_completed], completed[foreseen.is_completed]
    changes = Counter(str(change["type"]) for change in foreseen.changes)
    told = ", ".join(kind if number == 1 else f"{kind} ({number})" for kind, number in changes.items())
    return (
        str(foreseen.progress),
        owner_name(rendered(foreseen.owner["ident"])),
        was if was == is_ else f"{was} → {is_}",
        told,
    )

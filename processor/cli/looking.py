"""`progress show` and `status`: what is there, and what waits."""

from typing import Annotated, Any

import typer

from processor.cli.console import AsJson, Asked, object_id, print_json, print_table, run, settings_of
from processor.errors import InvalidInput
from processor.operating import Status, find_progress, read_status
from processor.ports.progress import Backlog
from schemas.progress import render_progress

progress_app = typer.Typer(no_args_is_help=True, help="Progress documents.")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(progress_app, name="progress")
    app.command()(status)


@progress_app.command()
def show(
    context: typer.Context,
    progress: Annotated[str | None, typer.Argument(help="Id of a progress document.", metavar="[ID]")] = None,
    journey: Annotated[str | None, typer.Option(help="Only of this journey.", metavar="ID")] = None,
    organisation: Annotated[str | None, typer.Option(help="Only of this organisation.", metavar="ID")] = None,
    limit: Annotated[int, typer.Option(help="Most documents.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """Show one document whole, or list the last updated ones."""
    identity = object_id(progress, "progress id")
    wanted = {"journey": object_id(journey, "journey"), "organisation": object_id(organisation, "organisation")}
    documents = run(find_progress(settings_of(context, Asked.MONGODB), identity=identity, limit=limit, **wanted))
    rendered = [render_progress(document, with_pending=True) for document in documents]
    if identity:
        if not rendered:
            raise InvalidInput(f"there is no progress document {identity}")
        print_json(rendered[0])
    elif as_json:
        print_json(rendered)
    else:
        print_table(["progress", "journey", "owner", "waypoints", "completed"], [_row(entry) for entry in rendered])


def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Say what waits: records not read, documents due and claimed, events not published, dead letters.

    Where a server is away, what the other answers is shown; the exit code is as always then.
    """
    found = run(read_status(settings_of(context)))
    if as_json:
        print_json(found)
    else:
        print_table(["what", "how many", ""], _status_rows(found))
    for error in found.unknown.values():
        raise error


def _status_rows(found: Status) -> list[tuple[str, Any, str]]:
    rows: list[tuple[str, Any, str]] = []
    if found.lag is None:
        rows.append(_unknown("records not read", found, "lag"))
    else:
        behind = " ".join(f"{tp}:{lag}" for tp, lag in found.lag.items() if lag)
        rows.append(("records not read", sum(found.lag.values()), behind))
    if found.backlog is None:
        rows.append(_unknown("progress documents", found, "backlog"))
    else:
        rows += _backlog_rows(found.backlog)
    if found.dead_letters is None:
        rows.append(_unknown("dead letters", found, "dead_letters"))
    else:
        more = "journey-progress dead-letters list" if found.dead_letters else ""
        rows.append(("dead letters", found.dead_letters, more))
    return rows


def _unknown(what: str, found: Status, name: str) -> tuple[str, Any, str]:
    return what, "unknown", str(found.unknown[name])


def _backlog_rows(backlog: Backlog) -> list[tuple[str, Any, str]]:
    return [
        ("progress documents", backlog.documents, ""),
        ("due for promotion", backlog.due, f"oldest {backlog.oldest_due}" if backlog.oldest_due else ""),
        ("claimed by promoters", backlog.claimed, f"{backlog.expired} of them expired" if backlog.expired else ""),
        ("waiting for their journey", backlog.waiting, ""),
        ("events to publish", backlog.outbox, f"oldest {backlog.oldest_outbox}" if backlog.oldest_outbox else ""),
    ]


def _row(entry: dict[str, Any]) -> tuple[str, str, str, str, str]:
    owner = owner_name(entry["owner"]["ident"])
    latest = entry["completions"][-1] if entry["completions"] else {"waypoints": {}}
    done = sum(waypoint["isCompleted"] for waypoint in latest["waypoints"].values())
    attempts = sum(attempt["isCompleted"] for attempt in entry["completions"])
    completed = f"{entry.get('completedAt', 'yes')}" if entry["isCompleted"] else "no"
    return entry["_id"], entry["journey"], owner, f"{done} complete, attempt {max(attempts, 1)}", completed


def owner_name(ident: str | dict[str, Any]) -> str:
    """Return what people call an owner: a persona's id, or the best name that an actor has."""
    if isinstance(ident, str):
        return ident
    actor, account = ident, ident.get("account", {})
    return str(actor.get("name") or actor.get("mbox") or actor.get("openid") or account.get("name") or "?")

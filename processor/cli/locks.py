"""`locks list`."""

from datetime import datetime
from typing import Annotated, Any

import typer

from processor.cli.console import AsJson, Asked, print_json, print_table, run, settings_of
from processor.operating import list_locks
from processor.ports.progress import Lock
from schemas.ids import format_timestamp

app = typer.Typer(no_args_is_help=True, help="Documents that promoters and relays hold under a lease.")


@app.command("list")
def list_(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="Most locks; those that run out first are shown.", min=1)] = 50,
    as_json: AsJson = False,
) -> None:
    """List the locks: which worker holds which document since when, until when, and whether the lease ran out.

    There is nothing to do about an expired one: any worker claims it next, and its late holder is fenced.
    """
    now, locks = run(list_locks(settings_of(context, Asked.MONGODB), limit))
    rows = [_row(lock, now) for lock in locks]
    if as_json:
        print_json(rows)
        return
    columns = ("progress", "loop", "worker", "age_seconds", "until", "state", "lockKey")
    print_table(columns, [["?" if row[name] is None else row[name] for name in columns] for row in rows])


def _row(lock: Lock, now: datetime) -> dict[str, Any]:
    return {
        "progress": str(lock.progress),
        "loop": lock.loop,
        "lockKey": lock.lock_key,
        "worker": lock.worker,
        "since": format_timestamp(lock.since) if lock.since else None,
        "age_seconds": round((now - lock.since).total_seconds(), 3) if lock.since else None,
        "until": format_timestamp(lock.until),
        "state": "expired" if lock.until < now else "held",
    }

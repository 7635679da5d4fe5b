"""`dead-letters list`."""

from typing import Annotated

import typer

from processor.app import list_dead_letters
from processor.cli.console import AsJson, print_json, print_table, run, settings_of

app = typer.Typer(no_args_is_help=True, help="Records that could not be used, parked with the reason.")


@app.command("list")
def list_(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="Most letters; the newest ones are shown.", min=1)] = 50,
    reason: Annotated[str | None, typer.Option(help="Only with this reason, e.g. not-json.")] = None,
    as_json: AsJson = False,
) -> None:
    """List parked records: when, why, and where in the statements topic each one lies."""
    letters = run(list_dead_letters(settings_of(context), limit=limit, reason=reason))
    if as_json:
        print_json(letters)
        return
    print_table(
        ["time", "reason", "record", "item", "message"],
        [
            (letter["time"], letter["reason"], letter["record"], letter["item"] or "", letter["message"])
            for letter in letters
        ],
    )

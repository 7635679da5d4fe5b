"""How commands speak: tables for people, tab-separated lines for pipes, JSON for scripts, errors on stderr."""

from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson
import typer
import uvloop
from bson import ObjectId
from rich.console import Console
from rich.table import Table

from processor.errors import InvalidInput
from processor.log import configure_logs
from processor.settings import Settings, load_settings
from schemas.ids import parse_object_id

Answer = TypeVar("Answer")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def settings_of(context: typer.Context) -> Settings:
    """Read the settings once per command, and set the logs up as they say."""
    env_file: Path | None = context.find_root().obj
    settings = load_settings(env_file)
    configure_logs(settings.log_level, settings.log_format)
    return settings


def run(coroutine: Coroutine[Any, Any, Answer]) -> Answer:
    """Run a command's coroutine on uvloop."""
    return uvloop.run(coroutine)


def object_id(text: str | None, what: str) -> ObjectId | None:
    """Read an id given to a command; raises `InvalidInput` naming `what` it is."""
    if text is None:
        return None
    try:
        return parse_object_id(text)
    except ValueError as error:
        raise InvalidInput(f"{what}: {error}") from None


def print_json(value: Any) -> None:
    """Print a value as indented JSON; what JSON does not know is printed as text."""
    typer.echo(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode())


def print_table(headers: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str | None = None) -> None:
    """Print rows as a table on a terminal, as tab-separated lines with a header when piped."""
    console = Console()
    if not console.is_terminal:
        for row in [headers, *rows]:
            typer.echo("\t".join(map(str, row)))
        return
    table = Table(*headers, title=title, title_justify="left")
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)


def warn(message: str) -> None:
    """Print one sentence to stderr."""
    typer.secho(message, err=True, fg=typer.colors.YELLOW)

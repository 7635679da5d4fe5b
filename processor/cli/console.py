"""How commands speak: columns for people, tab-separated lines for pipes, JSON for scripts, errors on stderr."""

import re
from collections.abc import Coroutine, Sequence
from enum import Flag, auto
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import orjson
import structlog
import typer
import uvloop
from bson import ObjectId
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from processor.errors import InvalidInput, InvalidSettings
from processor.log import configure_logs
from processor.settings import Settings, load_settings
from processor.unknown_settings import unknown_settings
from schemas.ids import parse_object_id

Answer = TypeVar("Answer")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Control characters, without tab and newline."""


class Asked(Flag):
    """The servers that a command asks: of others it needs no address, and no credentials."""

    NONE = 0
    KAFKA = auto()
    MONGODB = auto()
    BOTH = KAFKA | MONGODB


UNASKED = {
    Asked.KAFKA: {"kafka_bootstrap_servers": "unused:9092"},
    Asked.MONGODB: {"mongo_url": "mongodb://unused"},
}


def settings_of(context: typer.Context, asked: Asked = Asked.BOTH) -> Settings:
    """Read the settings once per command, set the logs up as they say, and warn of names that are no setting.

    Those that name servers that are not `asked` need not be there, and are passed over.
    """
    env_file: Path | None = context.find_root().obj
    unused = {name: value for server, named in UNASKED.items() if server not in asked for name, value in named.items()}
    settings = load_settings(env_file, **unused)
    configure_logs(settings.log_level, settings.log_format)
    for strange in unknown_settings(Settings, env_file or Path(".env")):
        structlog.get_logger(__name__).warning(strange)
    return settings


def run(coroutine: Coroutine[Any, Any, Answer]) -> Answer:
    """Run a command's coroutine on uvloop."""
    return uvloop.run(coroutine)


def http_module(name: str) -> Any:
    """Return a module of `processor.api`, which needs the extra `http`; commands that do not need it start without.

    Raises `InvalidSettings` when the extra is not installed.
    """
    try:
        return import_module(f"processor.api.{name}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("processor"):
            raise
        raise InvalidSettings(
            f"the HTTP interfaces need {error.name}: install the extra, pip install 'journey-progress[http]'"
        ) from None


def object_id(text: str | None, what: str) -> ObjectId | None:
    """Read an id given to a command; raises `InvalidInput` naming `what` it is."""
    if text is None:
        return None
    try:
        return parse_object_id(text)
    except ValueError as error:
        raise InvalidInput(f"{what}: {error}") from None


def print_json(value: Any) -> None:
    """Print a value as indented JSON, in UTF-8 wherever it goes; what JSON does not know is printed as text."""
    typer.echo(orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows in columns on a terminal, as tab-separated lines with a header when piped.

    Nothing is cut to fit a terminal: it wraps what is too long by itself, and ids and secrets can be copied whole.
    """
    console = Console()
    if not console.is_terminal:
        for row in [headers, *rows]:
            typer.echo("\t".join(map(str, row)))
        return
    lines = [[_shown(header, "bold") for header in headers], *([_shown(value) for value in row] for row in rows)]
    widths = [max(cell.cell_len for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        for cell, width in zip(line[:-1], widths, strict=False):
            cell.pad_right(width - cell.cell_len)
        console.print(Text("  ").join(line), soft_wrap=True)


def _shown(value: Any, style: str = "") -> Text:
    """Return what comes from elsewhere as it is: no markup is read in it, and it gives the terminal no orders."""
    return Text(CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", str(value)), style)


class Branch(NamedTuple):
    """A line, its colour, and what belongs under it."""

    line: str
    style: str = ""
    parts: "Sequence[Branch]" = ()


def print_tree(branch: Branch) -> None:
    """Print a tree on a terminal, lines indented by two spaces when piped."""
    console = Console()
    if console.is_terminal:
        console.print(_grown(Tree(_shown(branch.line, branch.style)), branch.parts))
        return
    _print_indented(branch, 0)


def _grown(tree: Tree, parts: "Sequence[Branch]") -> Tree:
    for part in parts:
        _grown(tree.add(_shown(part.line, part.style)), part.parts)
    return tree


def _print_indented(branch: Branch, depth: int) -> None:
    typer.echo("  " * depth + branch.line)
    for part in branch.parts:
        _print_indented(part, depth + 1)


def warn(message: str) -> None:
    """Print one sentence to stderr."""
    typer.secho(message, err=True, fg=typer.colors.YELLOW)

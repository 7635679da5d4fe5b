"""`statements publish`."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Annotated, cast

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from processor.cli.console import Asked, object_id, run, settings_of
from processor.core.identity import inverse_functional_identifier
from processor.errors import InvalidInput
from processor.operating import publish_statements

app = typer.Typer(no_args_is_help=True, help="Statements: what the processor reads.")

Line = tuple[bytes | None, bytes, list[tuple[str, bytes]]]


@app.command()
def publish(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(help="JSON lines, one statement (or document) each; .gz too.", exists=True, dir_okay=False),
    ],
    organisation: Annotated[str | None, typer.Option(help="Record header `organisation`.", metavar="ID")] = None,
    store: Annotated[str | None, typer.Option(help="Record header `lrs_id`.", metavar="ID")] = None,
) -> None:
    """Publish statements to STATEMENTS_TOPIC, keyed by actor, and wait until all are acknowledged.

    Lines go as they are: the processor judges them, and parks what it cannot use in the dead letters.
    One that is too large for the topic does not stop the others: it is told at the end, with exit code 65.
    """
    tenant = {"organisation": object_id(organisation, "organisation"), "lrs_id": object_id(store, "store")}
    headers = [(name, str(value).encode()) for name, value in tenant.items() if value]
    with _bar(Console(stderr=True)) as progress:
        published = run(publish_statements(settings_of(context, Asked.KAFKA), _lines(files, headers, progress)))
    typer.echo(f"{published} statements published")


def _bar(console: Console) -> Progress:
    """Return progress bars of files, whose names may hold anything, for a terminal alone."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _lines(files: list[Path], headers: list[tuple[str, bytes]], progress: Progress) -> Iterator[Line]:
    for path in files:
        task = progress.add_task(path.name, total=path.stat().st_size or None)
        with path.open("rb") as raw, _unpacked(path, raw) as lines:
            try:
                for line in lines:
                    if raw.seekable():  # a pipe is not
                        progress.update(task, completed=raw.tell())
                    if line.strip():
                        yield key_of(line), line.strip(), headers
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise InvalidInput(f"{path} is not a whole gzip file: {error}") from None


def _unpacked(path: Path, raw: IO[bytes]) -> AbstractContextManager[IO[bytes]]:
    return cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw


def key_of(line: bytes) -> bytes | None:
    """Return the actor's identifier as a record key, so that one learner's statements share a partition.

    Only a kindness to caches: the result is the same for every order and every split (F1). None without an actor.
    """
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    statement = value.get("statement", value) if isinstance(value, dict) else None
    actor = statement.get("actor") if isinstance(statement, dict) else None
    identifier = inverse_functional_identifier(actor) if isinstance(actor, dict) else None
    return orjson.dumps(identifier) if identifier else None

"""`dead-letters list|show|replay`."""

import heapq
from base64 import b64encode
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

import typer

from processor.cli.console import AsJson, Asked, print_json, print_table, run, settings_of
from processor.core.letters import DeadLetter, Selection, parse_stretch
from processor.core.records import Reason
from processor.errors import InvalidInput
from processor.operating import find_dead_letters, replay_dead_letters
from processor.services.dead_letters import Replayed
from processor.settings import PREFIX, Settings
from schemas.ids import format_timestamp, parse_timestamp

app = typer.Typer(no_args_is_help=True, help="Records that could not be used, parked with the reason.")

Reasons = Annotated[
    list[Reason] | None, typer.Option("--reason", help="Only with this reason; may be given several times.")
]
Since = Annotated[str | None, typer.Option(help="Only parked at this time or later (ISO 8601).", metavar="TIME")]
Until = Annotated[str | None, typer.Option(help="Only parked before this time (ISO 8601).", metavar="TIME")]
Records = Annotated[
    list[str] | None,
    typer.Option(
        "--record",
        help="Only of this record, TOPIC-PARTITION@OFFSET as `list` shows it, of @FIRST..LAST, or of a whole "
        "TOPIC-PARTITION; may be given several times.",
        metavar="RECORD",
    ),
]


@app.command("list")
def list_(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="Most letters; the newest ones are shown.", min=1)] = 50,
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    record: Records = None,
    as_json: AsJson = False,
) -> None:
    """List parked records: when, why, and where in the statements topic each one lies."""
    selection = _selection(reason, since, until, record)
    rows = run(_newest(settings_of(context, Asked.KAFKA), selection, limit))
    if as_json:
        print_json(rows)
        return
    columns = ("time", "reason", "record", "item", "message")
    print_table(columns, [["" if row[name] is None else row[name] for name in columns] for row in rows])


@app.command()
def show(
    context: typer.Context,
    record: Annotated[str, typer.Argument(help="TOPIC-PARTITION@OFFSET, as `list` shows it.", metavar="RECORD")],
    as_json: AsJson = False,
) -> None:
    """Show a parked record whole: each reason with its item, then key, headers and value."""
    selection = _selection(None, None, None, [record])
    letters = run(_all(settings_of(context, Asked.KAFKA), selection))
    if not letters:
        raise InvalidInput(f"no dead letter is of record {record}")
    if as_json:
        print_json([_whole(letter) for letter in letters])
        return
    whole = _whole(letters[-1])
    why = [
        ("item " + str(it.item) if it.item is not None else "record", f"{it.reason}: {it.message}") for it in letters
    ]
    parked = [("parked", whole["time"]), ("key", whole["key"])]
    headers = [(f"header {name}", value) for name, value in whole["headers"]]
    print_table(["record", record], [*why, *parked, *headers, ("value", whole["value"])])


@app.command()
def replay(  # noqa: PLR0913, PLR0917 - a command's options
    context: typer.Context,
    reason: Reasons = None,
    since: Since = None,
    until: Until = None,
    record: Records = None,
    everything: Annotated[bool, typer.Option("--all", help="Replay all there is.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    rate: Annotated[float | None, typer.Option(help="Most records a second.", min=0.01)] = None,
    as_json: AsJson = False,
) -> None:
    """Publish parked records to STATEMENTS_TOPIC again: original value, key and headers.

    Its timestamp goes in one more header, `replayed-timestamp`, which counts as the record's.

    A record goes once, however many of its items were parked; a header's name that was not UTF-8 goes as the letter
    has it, escaped. Doing it again is harmless: what counted already is not counted twice, and what still cannot be
    used is parked again. The letters stay.

    A record that is too large for the topic does not stop the others: it is told at the end, with exit code 65.
    """
    selection = _selection(reason, since, until, record)
    if everything == (selection != Selection()):
        raise typer.BadParameter("give --reason, --since, --until or --record, or else --all")
    done = run(replay_dead_letters(settings_of(context, Asked.KAFKA), selection, rate=rate, dry_run=dry_run))
    _tell(done, dry_run=dry_run, as_json=as_json)
    if done.refused:
        raise InvalidInput(
            f"{len(done.refused)} records were refused: raise max.message.bytes of the topic, and "
            f"{PREFIX}KAFKA_MAX_MESSAGE_BYTES, and replay them again"
        )


def _tell(done: Replayed, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        replayed = 0 if dry_run else done.published
        print_json(
            {
                "letters": done.letters,
                "records": done.records,
                "replayed": replayed,
                "gone": done.gone,
                "refused": done.refused,
            }
        )
        return
    print_table(["reason", "letters"], sorted(done.letters.items()))
    typer.echo(f"{done.published} records {'would be replayed' if dry_run else 'replayed'}")
    if done.gone:
        typer.echo(f"{done.gone} records are gone: their letters only say where they lay")
    for record, why in done.refused.items():
        typer.echo(f"{record} was refused: {why}")


def _selection(
    reasons: Sequence[Reason] | None, since: str | None, until: str | None, records: Sequence[str] | None
) -> Selection:
    try:
        stretches = [parse_stretch(text) for text in records or ()]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="RECORD") from None
    return Selection(frozenset(map(str, reasons or ())), _instant(since), _instant(until), tuple(stretches))


def _instant(text: str | None) -> datetime | None:
    try:
        return parse_timestamp(text) if text else None
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since, --until") from None


async def _newest(settings: Settings, selection: Selection, limit: int) -> list[dict[str, Any]]:
    """Return the last parked letters, oldest of them first; only these are held in memory, without their values."""
    newest: list[tuple[Any, ...]] = []
    async with aclosing(find_dead_letters(settings, selection)) as letters:
        async for letter in letters:
            row = _row(letter)
            order = (row["time"] or "", letter.origin or letter.place, letter.item or 0, letter.place)
            heapq.heappush(newest, (*order, row))
            if len(newest) > limit:
                heapq.heappop(newest)
    return [row for *_, row in sorted(newest)]


async def _all(settings: Settings, selection: Selection) -> list[DeadLetter]:
    async with aclosing(find_dead_letters(settings, selection)) as letters:
        return [letter async for letter in letters]


def _row(letter: DeadLetter) -> dict[str, Any]:
    return {
        "time": format_timestamp(letter.time) if letter.time else None,
        "reason": letter.reason,
        "record": str(letter.origin) if letter.origin else None,
        "item": letter.item,
        "message": letter.message,
        "letter": str(letter.place),
    }


def _whole(letter: DeadLetter) -> dict[str, Any]:
    return {
        **_row(letter),
        "timestamp": letter.timestamp,
        "key": _text(letter.key),
        "headers": [[name, _text(value)] for name, value in letter.headers],
        "value": _text(letter.value) if letter.omitted is None else f"left out, SHA-256 {letter.omitted}",
    }


def _text(value: bytes | None) -> str | None:
    """Return bytes as text where they are UTF-8, else in base64."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"base64:{b64encode(value).decode()}"

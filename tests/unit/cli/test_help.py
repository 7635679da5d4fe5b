"""`--help` of every command teaches: what it does, what each argument and option means."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from processor.cli.main import app
from tests.unit.cli.command import Command

EXPECTED = {
    "run",
    "ingest",
    "promote",
    "relay",
    "topics create",
    "journeys check",
    "journeys apply",
    "journeys list",
    "statements publish",
    "progress show",
    "status",
    "dead-letters list",
    "demo",
}


def leaves(group: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Every command as (its words, what typer knows of it)."""
    for name, found in group.commands.items():
        if hasattr(found, "commands"):
            yield from leaves(found, *path, name)
        else:
            yield " ".join([*path, name]), found


COMMANDS = dict(leaves(typer.main.get_command(app)))


def test_the_commands_that_the_issue_asks_for() -> None:
    assert set(COMMANDS) >= EXPECTED


@pytest.mark.parametrize("words", ["", *COMMANDS])
def test_help_of_every_command(journey_progress: Command, words: str) -> None:
    done = journey_progress(*words.split(), "--help")
    assert (done.status, done.err) == (0, "")
    assert f"Usage: journey-progress {words}".rstrip() in done.out


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_and_option_is_described(words: str) -> None:
    assert len(COMMANDS[words].help or "") > 20
    for parameter in COMMANDS[words].params:
        assert getattr(parameter, "help", None), f"{words} {parameter.name}"


def test_the_first_help_says_where_to_begin_and_what_exit_codes_mean(journey_progress: Command) -> None:
    text = " ".join(journey_progress("--help").out.split())
    assert "journey-progress demo" in text
    assert "journey-progress[embedded]" in text
    assert "JOURNEY_PROGRESS_MONGO_URL" in text
    assert "Exit codes: 0 done" in text
    assert {name.split()[0] for name in EXPECTED} <= set(text.replace("│", " ").split())


@pytest.mark.parametrize("words", ["", "topics", "journeys", "statements", "progress", "dead-letters"])
def test_half_a_command_shows_the_help(journey_progress: Command, words: str) -> None:
    done = journey_progress(*words.split())
    assert done.status == 2
    assert "Usage: journey-progress" in done.out + done.err

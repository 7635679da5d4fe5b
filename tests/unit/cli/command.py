"""The command in this process, without a server: what it prints, and its exit code."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from processor.cli.main import main


class Done(NamedTuple):
    status: int
    out: str
    err: str


Command = Callable[..., Done]


def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return `journey_progress("status", "--json")`."""

    def journey_progress(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["journey-progress", *arguments])
        status = _status()
        captured = capsys.readouterr()
        return Done(status, captured.out, captured.err)

    return journey_progress


def _status() -> int:
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0

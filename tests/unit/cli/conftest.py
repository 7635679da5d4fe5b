"""Every test of the command line begins in an empty directory, without settings."""

import os
from pathlib import Path

import pytest

from processor.settings import PREFIX
from tests.unit.cli.command import Command, command


@pytest.fixture
def journey_progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)
    for name in [it for it in os.environ if it.startswith(PREFIX)]:
        monkeypatch.delenv(name)
    return command(monkeypatch, capsys)

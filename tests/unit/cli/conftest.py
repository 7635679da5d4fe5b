"""Every test of the command line begins in an empty directory, without settings."""

from pathlib import Path

import pytest

from processor.settings import PREFIX, Settings
from tests.unit.cli.command import Command, command


@pytest.fixture
def journey_progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    return command(monkeypatch, capsys)

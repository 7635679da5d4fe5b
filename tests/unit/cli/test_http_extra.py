"""The extra `http` is needed by those who serve, and by nobody else."""

import subprocess
import sys

import pytest

from processor.cli import console
from processor.errors import InvalidSettings


def test_commands_start_without_the_extra() -> None:
    program = (
        "import sys, processor.cli.main; "
        "print({'fastapi', 'starlette', 'uvicorn', 'argon2', 'limits'} & set(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout == "set()\n"


def test_who_serves_without_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise ModuleNotFoundError("No module named 'fastapi'", name="fastapi")

    monkeypatch.setattr(console, "import_module", missing)
    with pytest.raises(InvalidSettings, match=r"need fastapi: .* pip install 'journey-progress\[http\]'"):
        console.http_module("server")


def test_a_bug_of_ours_is_not_taken_for_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModuleNotFoundError):
        console.http_module("nothing_like_it")

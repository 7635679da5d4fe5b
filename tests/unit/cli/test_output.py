"""Where a command's output goes: what has other letters, no room, or is closed ends no command with a traceback."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import orjson
import pytest

from processor.settings import PREFIX
from tests.builders import ORGANISATION

FULL = Path("/dev/full")
JOURNEY = {"description": "Passed ✓ 😀", "organisation": str(ORGANISATION), "isActive": True, "waypoints": []}


def check(
    directory: Path, *options: str, to: int | IO[bytes] = subprocess.PIPE, **environment: str
) -> "subprocess.CompletedProcess[bytes]":
    """Run `journeys check` as a process of its own, on a journey that is fine."""
    (directory / "journey.json").write_bytes(orjson.dumps(JOURNEY))
    return subprocess.run(
        [sys.executable, "-m", "processor.cli.main", "journeys", "check", "journey.json", *options],
        cwd=directory,
        env={name: it for name, it in os.environ.items() if not name.startswith(PREFIX)} | environment,
        stdout=to,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )


def test_what_an_encoding_does_not_have_is_escaped(tmp_path: Path) -> None:
    done = check(tmp_path, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(rb"journey.json: Passed \u2713 \U0001f600: fine")


def test_json_is_utf_8_whatever_the_encoding_is(tmp_path: Path) -> None:
    done = check(tmp_path, "--json", PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert orjson.loads(done.stdout)[0]["description"] == JOURNEY["description"]


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
@pytest.mark.parametrize("options", [(), ("--json",), ("--help",)])
def test_a_full_disk_is_one_sentence_and_74(tmp_path: Path, options: tuple[str, ...]) -> None:
    with FULL.open("wb") as full:
        done = check(tmp_path, *options, to=full)
    assert done.returncode == 74
    assert done.stderr.startswith(b"journey-progress: nothing more can be written (No space left on device): ")
    assert len(done.stderr.splitlines()) == 1


def test_a_pipe_that_nobody_reads_is_no_bug(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = check(tmp_path, to=closed)
    assert (done.returncode, done.stderr) == (1, b"")

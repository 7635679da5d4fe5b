"""The command as a user has it: a process of its own, its settings in the environment."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from pydantic import SecretStr

from processor.settings import PREFIX, Settings

COMMAND = Path(sys.executable).with_name("journey-progress")


def environment(settings: Settings) -> dict[str, str]:
    """Spell the settings as environment variables."""
    values = settings.model_dump(mode="json", exclude_none=True)
    values["mongo_url"] = settings.mongo_url.get_secret_value()
    assert not any(isinstance(value, SecretStr) for value in values.values())
    ours = {f"{PREFIX}{name.upper()}": str(value) for name, value in values.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return {**kept, **ours}


def journey_progress(
    settings: Settings, *arguments: str, stdin: bytes | None = None, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    done = subprocess.run(
        [str(COMMAND), *arguments],
        env=environment(settings),
        capture_output=True,
        input=stdin,
        timeout=120,
        cwd=cwd,
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


async def ran(
    settings: Settings, *arguments: str, stdin: bytes | None = None, cwd: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, beside the event loop: PyMongo gives its connections up if nobody sees to them."""
    return await asyncio.to_thread(journey_progress, settings, *arguments, stdin=stdin, cwd=cwd)


class Running:
    """A `journey-progress run` (or one of its parts) in the background; its log in a file."""

    def __init__(self, settings: Settings, log: Path, part: str = "run", *options: str) -> None:
        self.log = log
        self._file = log.open("ab")
        self.process = subprocess.Popen([str(COMMAND), part, *options], env=environment(settings), stderr=self._file)

    def logged(self, event: str = "", **wanted: Any) -> list[dict[str, Any]]:
        """Return the entries of the log whose event begins so, and whose fields are so."""
        *lines, _ = self.log.read_bytes().split(b"\n")  # half a line may have been written
        entries = [orjson.loads(line) for line in lines if line.startswith(b"{")]
        return [it for it in entries if it["event"].startswith(event) and wanted.items() <= it.items()]

    def holds(self, partitions: int, **wanted: Any) -> bool:
        """Tell whether the log last said that so many partitions were assigned."""
        last = next(reversed(self.logged("partitions ", **wanted)), None)
        return last is not None and last["event"] == "partitions assigned" and len(last["partitions"]) == partitions

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)
        self._file.close()

    def stop(self) -> int:
        """SIGTERM, and wait for the drain; return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end; return the exit status."""
        status = self.process.wait(40)
        self._file.close()
        return status


@contextmanager
def running(settings: Settings, log: Path, part: str = "run", *options: str) -> Iterator[Running]:
    """Keep a process running; stop it at the end, by force if it must be."""
    process = Running(settings, log, part, *options)
    try:
        yield process
    finally:
        if process.process.poll() is None:
            process.stop()

"""The parent of `--processes N`, over children that are one line of Python: who is started again, and how all end."""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from processor.app import LETTING_GO
from processor.cli.children import SILENCE, Word, Words, own_settings
from processor.cli.processes import DEATHS, Command, Parent, time_to_end
from processor.settings import Settings

WAIT = "import sys; sys.stdin.read()"


def a_parent(directory: Path, *programs: str) -> Parent:
    """The first child has begun already: it never says so itself."""
    words = Words(directory, len(programs))
    words.say(Word(1, has_begun=True, live=[], ready=[], said=0.0))
    commands = [Command(number, [sys.executable, "-c", it], {}) for number, it in enumerate(programs, start=1)]
    return Parent(commands, words, asyncio.Event(), deadline=15.0, backoff=0.01)


def at_the_end(what: str, ready: Path) -> str:
    """Return a program that makes a file when it is ready to be asked, and then does what is wanted."""
    asked = f"signal.signal(signal.SIGTERM, lambda *_: ({what}))"
    return f"import os, pathlib, signal, sys; {asked}; pathlib.Path({str(ready)!r}).touch(); signal.pause()"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - another process's work
            await asyncio.sleep(0.02)


async def there(file: Path) -> None:
    await until(file.exists)


@pytest.mark.parametrize(
    ("program", "code"),
    [("raise SystemExit(70)", 70), ("import os; os.kill(os.getpid(), 9)", 137), ("", 70)],
    ids=["bug", "killed", "nobody asked"],
)
async def test_a_child_that_dies_again_and_again_ends_all(tmp_path: Path, program: str, code: int) -> None:
    with capture_logs() as logs:
        assert await a_parent(tmp_path, WAIT, program).watch() == code
    assert sum(entry["event"] == "process died, starting it again" for entry in logs) == DEATHS - 1
    assert [entry["process"] for entry in logs if entry["log_level"] == "error"] == [2]


async def test_what_no_restart_mends_ends_all_at_once(tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert await a_parent(tmp_path, WAIT, "raise SystemExit(78)").watch() == 78
    assert sum(entry["event"] == "process started" for entry in logs) == 2


async def test_nobody_follows_a_first_child_that_is_refused(tmp_path: Path) -> None:
    parent = a_parent(tmp_path, "raise SystemExit(78)", WAIT)
    parent.words.forget(1)
    with capture_logs() as logs:
        assert await parent.watch() == 78
    assert sum(entry["event"] == "process started" for entry in logs) == 1


@pytest.mark.parametrize(
    ("end", "code"), [("sys.exit(70)", 70), ("os.kill(os.getpid(), signal.SIGUSR1)", 138)], ids=["bug", "killed"]
)
async def test_a_bug_in_the_drain_is_the_exit_code(tmp_path: Path, end: str, code: int) -> None:
    ready = tmp_path / "ready"
    parent = a_parent(tmp_path, at_the_end(end, ready))
    watching = asyncio.create_task(parent.watch())
    await there(ready)
    parent.stop.set()
    assert await watching == code


async def test_a_child_that_cannot_be_started_for_a_moment_ends_nobody(tmp_path: Path) -> None:
    parent, program = a_parent(tmp_path, WAIT, WAIT), tmp_path / "python"
    parent = replace(parent, commands=[parent.commands[0], Command(2, [str(program), "-c", WAIT], {})])
    with capture_logs() as logs:
        watching = asyncio.create_task(parent.watch())
        await until(lambda: any(entry["event"] == "process could not be started" for entry in logs))
        program.symlink_to(sys.executable)
        await until(lambda: {"event": "process started", "process": 2}.items() <= logs[-1].items())
        parent.stop.set()
        assert await watching == 0
    assert [entry["process"] for entry in logs if entry["event"] == "process started"] == [1, 2]


async def test_a_child_that_can_never_be_started_ends_all(tmp_path: Path) -> None:
    parent = a_parent(tmp_path, WAIT, WAIT)
    parent = replace(parent, commands=[parent.commands[0], Command(2, [str(tmp_path / "absent")], {})])
    with capture_logs() as logs:
        assert await parent.watch() == 70
    assert sum(entry["event"] == "process could not be started" for entry in logs) == DEATHS


async def test_what_nobody_foresaw_is_raised_when_all_have_drained(tmp_path: Path) -> None:
    """The second child's command is one that Python refuses."""
    ready, drained = tmp_path / "ready", tmp_path / "drained"
    parent = a_parent(tmp_path, at_the_end(f"pathlib.Path({str(drained)!r}).touch(), sys.exit()", ready), WAIT)
    parent = replace(parent, commands=[parent.commands[0], Command(2, ["\0"], {})])
    parent.words.forget(1)
    watching = asyncio.create_task(parent.watch())
    await there(ready)
    parent.words.say(Word(1, has_begun=True, live=[], ready=[], said=0.0))
    with pytest.raises(ValueError, match="null"):
        await watching
    assert drained.exists()


async def test_a_child_that_does_not_end_in_time_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    deaf = f"import pathlib, signal; signal.signal(15, signal.SIG_IGN); pathlib.Path({str(ready)!r}).touch(); "
    parent = replace(a_parent(tmp_path, deaf + "signal.pause()"), deadline=0.2)
    watching = asyncio.create_task(parent.watch())
    await there(ready)
    parent.stop.set()
    assert await watching == 0


def test_who_serves_the_interfaces_has_the_time_that_requests_are_given_too(settings: Settings) -> None:
    """Uvicorn gives them SHUTDOWN_DEADLINE when the loops have ended."""
    assert time_to_end(settings) == settings.shutdown_deadline + LETTING_GO
    serving = settings.model_copy(update={"http_api": True})
    assert time_to_end(serving) == 2 * settings.shutdown_deadline + LETTING_GO


def test_what_children_must_not_share(settings: Settings) -> None:
    static = settings.model_copy(update={"group_instance_id": "pod-7", "http_port": 9464, "http_api": True})
    first, second = (own_settings(static, number) for number in (1, 2))
    assert first == {
        "JOURNEY_PROGRESS_CLIENT_ID": "journey-progress-1",
        "JOURNEY_PROGRESS_GROUP_INSTANCE_ID": "pod-7-1",
    }
    assert second == {
        "JOURNEY_PROGRESS_CLIENT_ID": "journey-progress-2",
        "JOURNEY_PROGRESS_GROUP_INSTANCE_ID": "pod-7-2",
        "JOURNEY_PROGRESS_HTTP_PORT": "0",
        "JOURNEY_PROGRESS_HTTP_API": "false",
    }
    assert "JOURNEY_PROGRESS_GROUP_INSTANCE_ID" not in own_settings(settings, 2)


def test_who_serves_answers_for_its_siblings(tmp_path: Path) -> None:
    words = Words(tmp_path, 3)
    words.say(Word(1, has_begun=True, live=["mine"], ready=[], said=time.time()))
    words.say(Word(2, has_begun=True, live=["stuck"], ready=[], said=time.time()))
    assert words.faults(lambda word: word.live, 1) == ["process 2: stuck"]
    assert words.absent() == ["process 3 is starting"]
    words.say(Word(3, has_begun=True, live=[], ready=[], said=time.time() - 2 * SILENCE))
    assert words.faults(lambda word: word.ready, 1) == [f"process 3: silent for more than {SILENCE:g} s"]

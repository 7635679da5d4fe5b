"""What processes cost is read while they come and go."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks import machine
from tests.benchmarks.machine import servers_here, usage_of

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture
def sleeping() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_what_runs_is_found_by_name(sleeping: "subprocess.Popen[bytes]") -> None:
    assert servers_here()["sleep"] == sleeping.pid
    assert usage_of(sleeping.pid).peak > 0


def test_what_is_dead_and_not_waited_for_is_not_found(sleeping: "subprocess.Popen[bytes]") -> None:
    sleeping.kill()
    while machine._stat(sleeping.pid)[0] != "Z":
        time.sleep(0.01)
    assert "sleep" not in servers_here()
    with pytest.raises(ProcessLookupError, match="has ended"):
        usage_of(sleeping.pid)


@pytest.mark.parametrize("gone", [FileNotFoundError, ProcessLookupError])
def test_what_ends_while_we_look_is_passed_over(
    sleeping: "subprocess.Popen[bytes]", gone: type[OSError], monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = machine._stat

    def ends(pid: int) -> list[str]:
        if pid == sleeping.pid:
            raise gone(str(Path("/proc", str(pid))))
        return stat(pid)

    monkeypatch.setattr(machine, "_stat", ends)
    assert "sleep" not in servers_here()

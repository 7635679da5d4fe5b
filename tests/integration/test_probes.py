"""The port of metrics and health answers from a thread of its own: it tells of a loop that cannot."""

import socket
import subprocess
import sys
import urllib.error
import urllib.request

import orjson
import pytest

from processor import probes
from processor.embedded.process import free_port
from processor.metrics import Metrics
from processor.opening import open_interfaces
from processor.services.liveness import Liveness, Vitals
from processor.settings import Settings


def asked(port: int) -> tuple[int, object]:
    """Ask whether the process is live; the event loop that calls this stands still meanwhile."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=30) as answer:
            return answer.status, orjson.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, orjson.loads(error.read())


async def test_a_loop_that_does_not_answer_is_not_live(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "ANSWER_SECONDS", 0.2)
    settings = settings.model_copy(update={"http_port": free_port()})
    vitals = Vitals(Liveness(60, lambda: 0.0))
    async with (
        open_interfaces(settings, Metrics(), vitals) as interfaces,
        probes.probes(settings)(interfaces),
    ):
        fault = "the event loop does not answer within 0.2 s"
        assert asked(settings.http_port) == (503, {"status": "unavailable", "faults": [fault]})
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", settings.http_port)) != 0, "it listens no more"


def test_the_loops_need_no_extra() -> None:
    code = "import sys, processor.app; sys.exit(bool({'fastapi', 'uvicorn', 'argon2', 'limits'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0

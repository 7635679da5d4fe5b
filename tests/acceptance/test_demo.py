"""`demo` and how it ends: a signal interrupts it, unless it only waits for one. What is set is nothing to it."""

import asyncio
import os
import re
import signal

import pytest
from rich.console import Console

from processor.cli.demo import _tell_where_to_look, demo_settings
from processor.settings import PREFIX, Settings
from tests.acceptance.commands import COMMAND
from tests.marks import needs_embedded

ELSEWHERE = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
    "KAFKA_SASL_USERNAME": "somebody",
    "KAFKA_SASL_PASSWORD": "secret",
    "KAFKA_TLS_CA_FILE": "ca.pem",
    "TOPIC_REPLICATION": "3",
    "LOG_LEVEL": "verbose",
    "LEASE": "1",
}
"""Settings for other servers, and wrong ones."""


@pytest.mark.servers
@needs_embedded
@pytest.mark.parametrize(
    ("arguments", "sign", "code"),
    [(["--once", "--learners=500"], b"statements,", 130), (["--learners=1"], b"Ctrl-C ends everything", 0)],
    ids=["in the middle", "when all is done"],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it(arguments: list[str], sign: bytes, code: int, number: signal.Signals) -> None:
    command = await asyncio.create_subprocess_exec(COMMAND, "demo", *arguments, stdout=asyncio.subprocess.PIPE)
    assert command.stdout
    told = b""
    async with asyncio.timeout(90):
        while sign not in (line := await command.stdout.readline()):
            assert line, "it ended by itself"
            told += line
        command.send_signal(number)
        await command.communicate()
    assert command.returncode == code
    assert (f"{COMMAND} status".encode() in told) == (sign == b"Ctrl-C ends everything")


def test_what_is_set_for_other_servers_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    before = demo_settings("localhost:1", "mongodb://localhost")
    for name, value in ELSEWHERE.items():
        monkeypatch.setenv(f"{PREFIX}{name}", value)
    assert demo_settings("localhost:1", "mongodb://localhost") == before


def test_what_it_exports_leads_to_its_servers_whatever_is_set_for_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (it for it in ELSEWHERE if "KAFKA" in it):
        monkeypatch.setenv(f"{PREFIX}{name}", ELSEWHERE[name])
    shown = demo_settings("localhost:1", "mongodb://localhost")
    _tell_where_to_look(Console(), shown)
    for name, value in re.findall(rf"({PREFIX}\w+)='?([^\s']*)", capsys.readouterr().out):
        monkeypatch.setenv(name, value)
    led = Settings(_env_file=None)
    for name in ("kafka_bootstrap_servers", "kafka_security_protocol", "mongo_url", "mongo_database"):
        assert getattr(led, name) == getattr(shown, name)


@pytest.mark.servers
@needs_embedded
async def test_it_ends_by_itself_and_names_no_servers_that_are_gone() -> None:
    set_for_others = {f"{PREFIX}{name}": value for name, value in ELSEWHERE.items()}
    command = await asyncio.create_subprocess_exec(
        *(COMMAND, "demo", "--once", "--learners=1"),
        env={**os.environ, **set_for_others},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        told, _ = await command.communicate()
    assert command.returncode == 0
    assert b"progress document" in told
    assert b"export" not in told

"""`demo` and how it ends: a signal interrupts it, unless it only waits for one."""

import asyncio
import signal

import pytest

from processor.settings import Settings
from tests.acceptance.commands import COMMAND, environment


@pytest.mark.parametrize(
    ("arguments", "sign", "code"),
    [(["--once", "--learners=500"], b"statements,", 130), (["--learners=1"], b"Ctrl-C ends everything", 0)],
    ids=["in the middle", "when all is done"],
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it(
    settings: Settings, arguments: list[str], sign: bytes, code: int, number: signal.Signals
) -> None:
    command = await asyncio.create_subprocess_exec(
        COMMAND, "demo", *arguments, env=environment(settings), stdout=asyncio.subprocess.PIPE
    )
    assert command.stdout
    async with asyncio.timeout(90):
        while sign not in (line := await command.stdout.readline()):
            assert line, "it ended by itself"
        command.send_signal(number)
        await command.communicate()
    assert command.returncode == code

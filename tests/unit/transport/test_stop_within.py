"""A client is let go in time, whoever is cancelled meanwhile, and nothing of it runs on."""

import asyncio

import pytest

from processor.transport.connect import stop_within

MOMENT = 0.01


class Client:
    def __init__(self, seconds: float, error: Exception | None = None) -> None:
        self.seconds = seconds
        self.error = error
        self.state = "open"

    async def stop(self) -> None:
        try:
            await asyncio.sleep(self.seconds)
            if self.error:
                raise self.error
            self.state = "stopped"
        except asyncio.CancelledError:
            self.state = "cut short"
            raise


async def cancelled_while_stopping(client: Client, times: int = 1) -> None:
    task = asyncio.create_task(stop_within(client.stop(), "client", 5 * MOMENT))
    for _ in range(times):
        await asyncio.sleep(MOMENT)
        task.cancel()
    outcome = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(outcome[0], asyncio.CancelledError)


async def test_a_stop_that_takes_too_long_is_cut_short() -> None:
    client = Client(60)
    await stop_within(client.stop(), "client", MOMENT)
    assert client.state == "cut short"


async def test_who_is_cancelled_lets_the_client_stop() -> None:
    client = Client(3 * MOMENT)
    await cancelled_while_stopping(client)
    assert client.state == "stopped"


@pytest.mark.parametrize("times", [1, 2])
async def test_who_is_cancelled_does_not_leave_a_stop_behind(times: int) -> None:
    client = Client(60)
    await cancelled_while_stopping(client, times)
    assert client.state == "cut short"


async def test_a_stop_that_fails_is_told_whoever_was_cancelled(capsys: pytest.CaptureFixture[str]) -> None:
    """Not as an exception that was never retrieved, which here is an error."""
    await cancelled_while_stopping(Client(3 * MOMENT, OSError("away")))
    assert "not stopped cleanly" in capsys.readouterr().out

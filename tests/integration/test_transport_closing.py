"""Being cancelled while a client closes, which aiokafka takes for the end of a task of its own."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from processor.settings import Settings
from processor.transport.admin import open_admin
from processor.transport.producer import open_producer
from processor.transport.subscription import subscription
from processor.transport.topics import create_topics

pytestmark = pytest.mark.servers

Opening = Callable[[Settings], AbstractAsyncContextManager[Any]]


@pytest.mark.parametrize("opening", [open_admin, open_producer, subscription], ids=lambda it: str(it.__name__))
async def test_whoever_is_cancelled_while_a_client_closes_ends(settings: Settings, opening: Opening) -> None:
    await create_topics(settings)

    async def opens_and_goes_on() -> str:
        task = asyncio.current_task()
        assert task is not None
        async with opening(settings):
            asyncio.get_running_loop().call_soon(task.cancel)
        await asyncio.sleep(0)
        return "went on"

    outcome = await asyncio.gather(opens_and_goes_on(), return_exceptions=True)
    assert isinstance(outcome[0], asyncio.CancelledError)

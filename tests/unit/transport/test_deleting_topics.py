"""A topic that a broker keeps is not taken for deleted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiokafka import errors as kafka

from processor.errors import Misfit
from processor.settings import Settings
from processor.transport import topics
from processor.transport.connect import translated
from processor.transport.topics import delete_topics, topic_names

SETTINGS = Settings(_env_file=None, kafka_bootstrap_servers="kafka:9092", mongo_url="mongodb://mongo")


def answering(monkeypatch: pytest.MonkeyPatch, code: int) -> list[str]:
    """Let the broker answer so for the last of the topics; return a list that gets what it is to delete."""
    asked: list[str] = []

    async def present() -> list[str]:
        return list(topic_names(SETTINGS))

    async def delete(doomed: list[str]) -> SimpleNamespace:
        asked.extend(doomed)
        return SimpleNamespace(topic_error_codes=[*((name, 0) for name in doomed[:-1]), (doomed[-1], code)])

    @asynccontextmanager
    async def admin(_: Settings) -> AsyncIterator[SimpleNamespace]:
        with translated():
            yield SimpleNamespace(list_topics=present, delete_topics=delete)

    monkeypatch.setattr(topics, "open_admin", admin)
    return asked


async def test_one_that_we_may_not_delete_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, kafka.TopicAuthorizationFailedError.errno)
    with pytest.raises(Misfit, match=f"topic {SETTINGS.dead_letters_topic} is not deleted"):
        await delete_topics(SETTINGS)


@pytest.mark.parametrize("code", topics.GONE)
async def test_one_that_is_gone_is_not(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    asked = answering(monkeypatch, code)
    await delete_topics(SETTINGS)
    assert sorted(asked) == sorted(topic_names(SETTINGS))

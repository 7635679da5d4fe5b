"""`publish_statements` without a broker: what is produced together, and what an outage tells."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from processor import operating
from processor.errors import BrokerUnavailable, JourneyProgressError, Misfit
from processor.operating import publish_statements
from processor.settings import Settings
from processor.transport.batches import Message


class MortalProducer:
    """Takes two chunks; then there is no broker, or somebody interrupts."""

    def __init__(self) -> None:
        self.chunks: list[int] = []
        self.end: BaseException = BrokerUnavailable("Kafka: away")

    async def produce(self, _topic: str, messages: Sequence[Message], _until: float | None = None) -> list[None]:
        if len(self.chunks) == 2:
            raise self.end
        self.chunks.append(len(messages))
        return [None] * len(messages)


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> MortalProducer:
    made = MortalProducer()

    @asynccontextmanager
    async def open_producer(_settings: Settings) -> AsyncIterator[MortalProducer]:
        yield made

    async def check_topics(_settings: Settings) -> None:
        """Find them all."""

    monkeypatch.setattr(operating, "open_producer", open_producer)
    monkeypatch.setattr(operating, "check_topics", check_topics)
    return made


SETTINGS = Settings(_env_file=None, kafka_bootstrap_servers="nowhere:9092", mongo_url="mongodb://nowhere")


@pytest.mark.parametrize("kind", [BrokerUnavailable, Misfit])
async def test_an_outage_and_a_lost_right_say_how_many_were_published(
    monkeypatch: pytest.MonkeyPatch, producer: MortalProducer, kind: type[JourneyProgressError]
) -> None:
    monkeypatch.setattr(operating, "PUBLISH_CHUNK", 3)
    producer.end = kind("Kafka: no")
    with pytest.raises(kind, match=r"Kafka: no; 6 were published before$"):
        await publish_statements(SETTINGS, [(None, b"{}", [])] * 10)
    assert producer.chunks == [3, 3]


async def test_an_interruption_says_how_many_were_published(
    monkeypatch: pytest.MonkeyPatch, producer: MortalProducer
) -> None:
    monkeypatch.setattr(operating, "PUBLISH_CHUNK", 3)
    producer.end = asyncio.CancelledError()
    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await publish_statements(SETTINGS, [(None, b"{}", [])] * 10)
    assert [(it["log_level"], it["acknowledged"]) for it in logs] == [("warning", 6)]


async def test_what_is_produced_together_is_bounded_in_bytes(
    monkeypatch: pytest.MonkeyPatch, producer: MortalProducer
) -> None:
    monkeypatch.setattr(operating, "CHUNK_BYTES", 10)
    assert await publish_statements(SETTINGS, [(None, b"four", [])] * 5) == 5
    assert producer.chunks == [3, 2]

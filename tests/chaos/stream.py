"""The steady stream of statements, and who listens at the other end."""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from processor.settings import Settings

VERB = "http://adlnet.gov/expapi/verbs/completed"
POISON = (b"not json", b'{"actor": 1}', b"\xff\xfe", b"[[[]]]")
COHORT = 40
"""Learners who are at work at the same time; each makes about thirty statements."""

JOURNEYS: Sequence[dict[str, Any]] = (
    {
        "description": "Three modules, over and over",
        "isActive": True,
        "isSequential": True,
        "isRepeatable": True,
        "waypoints": [
            {"conditions": {"statement.verb.id": VERB, "statement.object.id": f"http://example.org/{name}"}, "count": n}
            for name, n in (("a", 1), ("b", 2), ("c", 1))
        ],
    },
    {
        "description": "Ten of anything, once",
        "isActive": True,
        "waypoints": [{"conditions": {"statement.verb.id": VERB}, "count": 10}],
    },
)


def statements(seed: int) -> Iterator[bytes]:
    """Yield statements without end, by cohorts of learners, out of order; a tenth are repeats, one in 200 is poison."""
    dice = random.Random(seed)
    recent: list[bytes] = []
    number = 0
    while True:
        number += 1
        if dice.random() < 0.005:
            yield dice.choice(POISON)
        elif recent and dice.random() < 0.1:
            yield dice.choice(recent)
        else:
            learner = number // (COHORT * 30) * COHORT + dice.randrange(COHORT)
            made = {
                "id": str(UUID(int=dice.getrandbits(128), version=4)),
                "actor": {"mbox": f"mailto:learner-{learner}@example.org"},
                "verb": {"id": VERB},
                "object": {"id": f"http://example.org/{dice.choice('abc')}"},
                "timestamp": f"2026-01-{dice.randint(1, 20):02d}T{dice.randint(0, 23):02d}:00:00Z",
            }
            recent = [*recent[-499:], orjson.dumps(made)]
            yield recent[-1]


async def produce_steadily(settings: Settings, seed: int, rate: int, seconds: float) -> int:
    """Produce `rate` statements a second, catching up after an outage; return how many were acknowledged.

    What was not acknowledged is sent again: it may then lie in the topic twice, as an LRS's pipeline would have it.
    """
    made, sent, begin = statements(seed), 0, time.monotonic()
    producer: AIOKafkaProducer | None = None
    try:
        while (elapsed := time.monotonic() - begin) < seconds:
            chunk = [next(made) for _ in range(min(int(elapsed * rate) - sent, 1_000))]
            while chunk:
                try:
                    producer = producer or await _started(settings)
                    await asyncio.gather(*[producer.send_and_wait(settings.statements_topic, value) for value in chunk])
                except (KafkaError, OSError):
                    await _drop(producer)
                    producer = None
                    await asyncio.sleep(0.5)
                else:
                    sent += len(chunk)
                    break
            await asyncio.sleep(0.1)
    finally:
        await _drop(producer)
    return sent


async def _started(settings: Settings) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers, acks="all", request_timeout_ms=5_000
    )
    try:
        await producer.start()
    except BaseException:
        await producer.stop()
        raise
    return producer


async def _drop(producer: AIOKafkaProducer | None) -> None:
    if producer is not None:
        await asyncio.wait([asyncio.ensure_future(producer.stop())], timeout=5)


class Subscriber:
    """A downstream service that notes when events arrive (`arrivals`, monotonic seconds)."""

    def __init__(self) -> None:
        self.arrivals: list[float] = []

    async def listen(self, settings: Settings) -> None:
        """Listen until cancelled, through any outage."""
        while True:
            consumer = AIOKafkaConsumer(
                settings.progress_topic,
                bootstrap_servers=settings.kafka_bootstrap_servers,
                request_timeout_ms=5_000,
                metadata_max_age_ms=5_000,
            )
            try:
                await consumer.start()
                async for _ in consumer:
                    self.arrivals.append(time.monotonic())
            except (KafkaError, OSError):
                await asyncio.sleep(0.5)
            finally:
                await asyncio.wait([asyncio.ensure_future(consumer.stop())], timeout=5)

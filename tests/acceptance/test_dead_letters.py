"""Dead letters that people can work with: list, show, replay, from outside, on real servers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from processor.clock import SystemClock
from processor.core.letters import Selection, parse_stretch
from processor.core.records import Reason, Record, Rejected
from processor.operating import apply_journeys, create_all_topics, replay_dead_letters
from processor.settings import Settings
from processor.store.connect import Database
from processor.transport.admin import open_admin
from processor.transport.dead_letters import KafkaDeadLetters
from processor.transport.producer import open_producer
from processor.transport.records import record_of
from processor.transport.topics import group_lag
from schemas.journey import with_ids
from tests.acceptance.commands import journey_progress, running
from tests.acceptance.world import header, produce, read_all, until_quiet

JOURNEY = with_ids(
    {
        "organisation": "59198183d8ea540933227033",
        "description": "One thing",
        "isActive": True,
        "isRepeatable": True,
        "waypoints": [{"conditions": {"statement.verb.id": "http://example.org/did"}}],
    }
)


def statement(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"6690e6c9-3ef0-4ed3-8b37-7f39647{number:05d}",
        "actor": {"mbox": f"mailto:learner-{number}@example.org"},
        "verb": {"id": "http://example.org/did"},
        "object": {"id": "http://example.org/it"},
        **changes,
    }


ARRAY = [statement(1), {"no": "statement"}, statement(2), statement(3, verb={})]
"""Two good, two bad; without times of their own, so that they take the record's."""


def command(settings: Settings, *arguments: str) -> Any:
    done = journey_progress(settings, "dead-letters", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return orjson.loads(done.stdout)


async def completions(database: Database) -> Mapping[Any, Any]:
    return {document["_id"]: document["completions"] async for document in database["journeyprogresses"].find()}


async def test_i2_a_record_is_replayed_once_as_it_was_and_replaying_again_is_harmless(
    settings: Settings, mongo_database: Database, tmp_path: Path
) -> None:
    await create_all_topics(settings)
    await apply_journeys(settings, [JOURNEY])
    headers = [("lrs_id", b"59c236a0bdf9ac67b2ab5ee7"), ("twice", b"\xff"), ("twice", b"2")]
    await produce(settings, [ARRAY], headers)
    await produce(settings, [b"not json", b"\xff\xfe"])
    with running(settings, tmp_path / "run.log") as process:
        await until_quiet(settings)
        before = await completions(mongo_database)
        assert len(before) == 2

        items = [letter for letter in command(settings, "list") if letter["item"] is not None]
        assert [(letter["item"], letter["reason"]) for letter in items] == [(1, "wrong-shape"), (3, "invalid-verb")]
        [record] = {letter["record"] for letter in items}

        shown = command(settings, "show", record)
        assert [orjson.loads(letter["value"]) for letter in shown] == [ARRAY, ARRAY]
        assert shown[0]["headers"][1:] == [["twice", "base64:/w=="], ["twice", "2"]]

        options = ("--record", record, "--since", items[0]["time"], "--rate", "50")
        first = command(settings, "replay", *options)
        assert first.pop("letters") == {"wrong-shape": 1, "invalid-verb": 1}
        assert first == {"records": 1, "replayed": 1, "gone": 0, "refused": {}}
        chosen = Selection(records=(parse_stretch(record),))
        assert (await replay_dead_letters(settings, chosen, dry_run=True)).records == 1
        assert (await replay_dead_letters(settings, chosen)).published == 1
        await until_quiet(settings)
        assert process.stop() == 0

    same = [it for it in await read_all(settings, settings.statements_topic) if it.value == orjson.dumps(ARRAY)]
    assert len(same) == 3
    assert all((it.key, it.headers[:3]) == (same[0].key, tuple(headers)) for it in same)
    original, *later = sorted(it.timestamp for it in same)
    assert later[0] > original  # or retention would take them
    assert {record_of(it).timestamp for it in same} == {original}
    assert {record_of(it).headers for it in same} == {tuple(headers)}
    assert await completions(mongo_database) == before
    left = await replay_dead_letters(settings, Selection(), dry_run=True)
    assert left.letters.total() == 2 + 3 * 2  # each replay has parked the two bad items again
    assert left.records == 2 + 1  # the three copies of the array lie in places of their own, and are the same


async def test_a_record_too_large_for_a_letter_is_replayed_from_where_it_lay(
    settings: Settings, mongo_database: Database, tmp_path: Path
) -> None:
    """The dead-letter topic takes small messages only; nothing stands still, and nothing is lost."""
    settings = settings.model_copy(update={"kafka_compression": "none"})
    await create_all_topics(settings)
    await apply_journeys(settings, [JOURNEY])
    async with open_admin(settings) as admin:
        config = {"max.message.bytes": "20000"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, settings.dead_letters_topic, config)])
    large = b"[" + b"1," * 50_000 + b"0"
    await produce(settings, [large, statement(1), b"small poison"])
    with running(settings, tmp_path / "run.log") as process:
        await until_quiet(settings)
        assert process.stop() == 0
    assert len(await completions(mongo_database)) == 1
    letters = await read_all(settings, settings.dead_letters_topic)
    assert sorted(len(letter.value) for letter in letters) == [0, len(b"small poison")]
    [left_out] = [letter for letter in letters if not letter.value]
    record = f"{settings.statements_topic}-{header(left_out, 'dead-letter-partition')}@0"

    chosen = Selection(records=(parse_stretch(record),))
    assert (await replay_dead_letters(settings, chosen)).published == 1
    assert [it.value for it in await read_all(settings, settings.statements_topic)].count(large) == 2


async def test_a_record_that_the_topic_takes_no_more_does_not_block_others(settings: Settings) -> None:
    settings = settings.model_copy(update={"kafka_compression": "none", "topic_partitions": 1})
    await create_all_topics(settings)
    async with open_producer(settings) as producer:
        parked = KafkaDeadLetters(producer, settings.dead_letters_topic, SystemClock())
        values = [b"small", b"large" * 10_000, b"other", b"third"]
        records = [Record("elsewhere", 0, number, 1_000, value) for number, value in enumerate(values)]
        await parked.park([Rejected(record, Reason.NOT_JSON, "why") for record in records])
    async with open_admin(settings) as admin:
        config = {"max.message.bytes": "20000"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, settings.statements_topic, config)])
    done = await replay_dead_letters(settings, Selection())
    assert (done.published, list(done.refused)) == (3, ["elsewhere-0@1"])
    replayed = await read_all(settings, settings.statements_topic)
    assert {it.value for it in replayed} == {b"small", b"other", b"third"}
    assert {record_of(it).timestamp for it in replayed} == {1_000}


async def test_i3_a_spent_rejection_budget_stops_the_process_before_it_parks(
    settings: Settings, mongo_database: Database, tmp_path: Path
) -> None:
    settings = settings.model_copy(update={"rejection_budget": 0.5, "rejection_window": 40})
    await create_all_topics(settings)
    await apply_journeys(settings, [JOURNEY])
    await produce(settings, [b"poison", *map(statement, range(20))])
    with running(settings, tmp_path / "run.log") as process:
        await until_quiet(settings)
        assert len(await read_all(settings, settings.dead_letters_topic)) == 1
        await produce(settings, [b"poison"] * 1_000)
        assert process.ended() == 65
    log = process.log.read_text()
    assert "REJECTION_BUDGET" in log
    assert "Traceback" not in log
    parked = len(await read_all(settings, settings.dead_letters_topic))
    assert parked <= 1 + 40
    assert sum((await group_lag(settings)).values()) == 1_000 + 1 - parked  # what was not parked was not committed

    settings = settings.model_copy(update={"rejection_budget": 0.0})
    with running(settings, tmp_path / "again.log") as process:
        await until_quiet(settings)
        assert process.stop() == 0
    assert len(await read_all(settings, settings.dead_letters_topic)) == 1_001

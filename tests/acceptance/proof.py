"""Was anything lost or doubled? What lies in the topics and collections, against the fold of what was produced."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiokafka import ConsumerRecord
from bson import ObjectId

from processor.core.completions import attempt_to
from processor.core.evidence import Item
from processor.core.fold import fold
from processor.core.identity import Identification, owners_of, progress_id, statement_reference
from processor.core.journey import JourneyRules
from processor.settings import Settings
from processor.store.connect import PROGRESSES, STATEMENTS, Database
from processor.store.relays import Relays
from processor.store.whole import with_attempts
from processor.transport.reading import read_all
from schemas.ids import parse_timestamp
from tests.acceptance.world import header

Counted = tuple[str, ObjectId]
"""A waypoint and a statement that counts for it."""


@dataclass(slots=True)
class Verdict:
    """What was found; `lost` and `doubled` name each single thing, and are empty when the guarantees held."""

    statements: int = 0
    documents: int = 0
    events: int = 0
    repeats: int = 0
    letters: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)


async def verdict_on(
    settings: Settings, database: Database, journeys: Sequence[JourneyRules], poison: Iterable[bytes] = ()
) -> Verdict:
    """Judge a processor that has come to rest by what the statements topic holds.

    The documents are the fold of the statements; each bare statement that counts is kept; the events of each document
    have every revision, first appearances in order, repeats alike; the dead letters are exactly the poison records.
    """
    verdict = Verdict()
    bad = set(poison)
    sent = await _records(settings, settings.statements_topic)
    statements = [orjson.loads(record.value) for record in sent if record.value not in bad]
    verdict.statements = len(statements)
    await _judge_documents(verdict, database, journeys, statements)
    await _judge_events(verdict, settings, database)
    where = {(str(record.partition), str(record.offset)) for record in sent if record.value in bad}
    await _judge_letters(verdict, settings, where)
    return verdict


async def _records(settings: Settings, topic: str) -> list[ConsumerRecord]:
    return [record async for record in read_all(settings, topic)]


def _evidence(
    journeys: Sequence[JourneyRules], statements: Sequence[Mapping[str, Any]]
) -> dict[ObjectId, tuple[JourneyRules, dict[str, list[Item]]]]:
    """What each progress document has to hold, by the plainest way there is."""
    evidence: dict[ObjectId, tuple[JourneyRules, dict[str, list[Item]]]] = {}
    for statement in statements:
        owners = owners_of({"statement": statement}, "actor", Identification())
        assert isinstance(owners, tuple)
        item = Item(statement_reference(statement["id"]), parse_timestamp(statement["timestamp"]))
        for rules in journeys:
            for waypoint in rules.waypoints.values():
                if waypoint.conditions({"statement": statement}):
                    progress = progress_id(rules.organisation, rules.id, owners[0])
                    evidence.setdefault(progress, (rules, defaultdict(list)))[1][waypoint.id].append(item)
    return evidence


async def _documents(database: Database) -> list[dict[str, Any]]:
    """All documents, with their attempts, and without what relays tell that they have published."""
    found = await database[PROGRESSES].find().to_list()
    return await with_attempts(database, await Relays(database).without_published(found))


async def _judge_documents(
    verdict: Verdict, database: Database, journeys: Sequence[JourneyRules], statements: Sequence[Mapping[str, Any]]
) -> None:
    found = {document["_id"]: document for document in await _documents(database)}
    verdict.documents = len(found)
    expected = _evidence(journeys, statements)
    verdict.lost += [f"document {key}" for key in expected.keys() - found.keys()]
    verdict.doubled += [f"document {key}" for key in found.keys() - expected.keys()]
    for key in expected.keys() & found.keys():
        rules, items = expected[key]
        folded = fold(rules, [items])
        completions = list(map(attempt_to, folded.attempts))
        _judge_document(verdict, found[key], completions, folded.surplus)
    kept = {document["_id"] async for document in database[STATEMENTS].find({}, {"_id": 1})}
    counting = {item.statement for _, items in expected.values() for listed in items.values() for item in listed}
    verdict.lost += [f"statement {reference}" for reference in counting - kept]
    verdict.doubled += [f"statement {reference}" for reference in kept - counting]


def _judge_document(
    verdict: Verdict,
    document: Mapping[str, Any],
    completions: list[dict[str, Any]],
    surplus: Mapping[str, Sequence[Item]],
) -> None:
    key = document["_id"]
    wanted = _counted(completions) + Counter(
        (waypoint, item.statement) for waypoint, items in surplus.items() for item in items
    )
    has = _counted(document["completions"]) + Counter(
        (waypoint, entry["statement"])
        for waypoint, entries in document["processing"].get("surplus", {}).items()
        for entry in entries
    )
    verdict.lost += [f"{key} lacks {waypoint} {statement}" for waypoint, statement in wanted - has]
    verdict.doubled += [f"{key} has {waypoint} {statement} too often" for waypoint, statement in has - wanted]
    if wanted == has and document["completions"] != completions:
        verdict.lost.append(f"{key} counted the right evidence wrongly")
    left = [waypoint for waypoint, pending in document["pendingProgress"].items() if pending["statements"]]
    if left or document["processing"].get("outbox"):
        verdict.lost.append(f"{key} is not at rest")


def _counted(completions: Iterable[Mapping[str, Any]]) -> Counter[Counted]:
    return Counter(
        (waypoint, entry["statement"])
        for attempt in completions
        for waypoint, completed in attempt["waypoints"].items()
        for entry in completed["statements"]
    )


async def _judge_events(verdict: Verdict, settings: Settings, database: Database) -> None:
    firsts: dict[str, list[int]] = defaultdict(list)
    contents: dict[str, bytes] = {}
    for record in await _records(settings, settings.progress_topic):
        key, name = record.key.decode(), header(record, "ce_id") or ""
        if name in contents:
            verdict.repeats += 1
            if contents[name] != record.value:
                verdict.doubled.append(f"event {name} differs from its repeat")
            continue
        contents[name] = record.value
        firsts[key].append(int(header(record, "ce_sequence") or 0))
    verdict.events = len(contents)
    for document in await _documents(database):
        key = str(document["_id"])
        revisions, wanted = firsts.pop(key, []), list(range(1, document["processing"]["revision"] + 1))
        verdict.lost += [f"event {key}-{revision}" for revision in set(wanted) - set(revisions)]
        if set(revisions) == set(wanted) and revisions != wanted:
            verdict.doubled.append(f"events of {key} are out of order: {revisions}")
        last = contents.get(f"{key}-{wanted[-1]}") if wanted else None
        if last and not _tells(orjson.loads(last), document):
            verdict.lost.append(f"the last event of {key} tells another state")
    verdict.doubled += [f"events of {key}, which has no document" for key in firsts]


def _tells(event: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    attempts = [(attempt["isCompleted"], len(attempt["waypoints"])) for attempt in event["completions"]]
    stand = [(attempt["isCompleted"], len(attempt["waypoints"])) for attempt in document["completions"]]
    is_same = bool(event["isCompleted"] == document["isCompleted"])
    return is_same and attempts == stand[event.get("completionsBefore", 0) :]


async def _judge_letters(verdict: Verdict, settings: Settings, poison: set[tuple[str, str]]) -> None:
    letters = await _records(settings, settings.dead_letters_topic)
    parked = {
        (header(record, "dead-letter-partition") or "", header(record, "dead-letter-offset") or "")
        for record in letters
    }
    verdict.letters = len(parked)
    verdict.lost += [f"poison {partition}@{offset}" for partition, offset in poison - parked]
    verdict.doubled += [f"dead letter {partition}@{offset}" for partition, offset in parked - poison]

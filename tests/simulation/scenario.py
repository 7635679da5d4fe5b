"""What a world is given: journeys, learners, a stream of statements with repeats and poison, and edits of journeys."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any

import orjson
from bson import ObjectId

from processor.core.evidence import Item
from processor.core.identity import progress_id, statement_reference
from schemas.ids import format_timestamp
from tests.builders import ORGANISATION, a_statement, an_owner, at

Evidence = Mapping[ObjectId, Mapping[str, frozenset[Item]]]
"""Items by progress id and waypoint."""

VERBS = tuple(f"http://example.org/verb/{number}" for number in range(3))
NEVER = "http://example.org/verb/never"
LEARNERS = ("ana", "bo")


class Trait(StrEnum):
    """How a journey is edited while the stream runs, and so what can be said of its documents in the end."""

    STEADY = "steady"  # never edited
    RESHAPED = "reshaped"  # counts, orders and sequence change: what matches stays the same
    GROWING = "growing"  # waypoints are added: matched by those who know them
    SWITCHED = "switched"  # deactivated and activated: matched while it is active
    RELEASED = "released"  # completes under several versions: completed attempts are sealed


@dataclass(frozen=True, slots=True)
class Message:
    """One record: its bytes, what of it is good (statement numbers), and the items of it that are poison."""

    value: bytes
    key: bytes
    headers: tuple[tuple[str, bytes], ...]
    statements: tuple[int, ...]
    poison: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of the stream."""

    number: int
    learner: str
    verb: int
    second: int

    @property
    def bare(self) -> dict[str, Any]:
        return a_statement(
            self.number,
            actor={"mbox": f"mailto:{self.learner}@example.org"},
            verb={"id": VERBS[self.verb]},
            timestamp=format_timestamp(at(self.second)),
        )

    @property
    def document(self) -> dict[str, Any]:
        """As the LRS would send it, under the reference that the bare one has, too."""
        bare = self.bare
        times = dict.fromkeys(("timestamp", "stored"), bare["timestamp"])
        return {"_id": str(self.item.statement), "organisation": str(ORGANISATION), "statement": bare, **times}

    @property
    def item(self) -> Item:
        return Item(statement_reference(self.bare["id"]), at(self.second))


Edit = Mapping[str, Any]
"""A journey document to save."""


@dataclass
class Scenario:
    """Drawn from a seed alone, so that every schedule of faults gets the same; `edited` asks for these journeys."""

    seed: int
    edited: Sequence[Trait] | None = None
    traits: dict[ObjectId, Trait] = field(default_factory=dict)
    journeys: list[dict[str, Any]] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    actions: list[Message | Edit] = field(default_factory=list)

    def __post_init__(self) -> None:
        random = Random(f"scenario {self.seed}")
        some = random.sample([trait for trait in Trait if trait is not Trait.STEADY], random.choice((0, 1, 1, 2)))
        goes_on = self.edited is None and self.seed % 8 == 5
        edited = () if goes_on else some if self.edited is None else self.edited
        for number, trait in enumerate([Trait.STEADY, *edited]):
            journey = _a_journey(random, number, trait) | ({"isRepeatable": False} if goes_on else {})
            self.traits[journey["_id"]] = trait
            self.journeys.append(journey)
        for number in range(1, random.randint(7, 20)):
            second = random.choice((number, random.randrange(20)))
            self.statements.append(Statement(number, random.choice(LEARNERS), random.randrange(3), second))
        scripts: list[list[Message | Edit]] = [list(_messages(random, self.statements))]
        if goes_on:  # learners who are through, perhaps: nothing that they do later can change anything
            later = [
                Statement(number, random.choice(LEARNERS), random.randrange(3), number) for number in range(30, 45)
            ]
            self.statements += later
            scripts[0] += _messages(random, later)
        scripts += [list(_edits(random, journey, self.traits[journey["_id"]])) for journey in self.journeys]
        places = [place for place, script in enumerate(scripts) for _ in script]
        random.shuffle(places)  # the order within each script stays
        self.actions = [scripts[place].pop(0) for place in places]

    def evidence(self, statements: Sequence[int] | None = None) -> Evidence:
        """Return what the statements of these numbers (by default all) have to become in journeys whose matches are
        the same at all times."""
        found: dict[ObjectId, dict[str, frozenset[Item]]] = {}
        for statement in self.statements:
            if statements is not None and statement.number not in statements:
                continue
            for journey in self.journeys:
                if self.traits[journey["_id"]] not in (Trait.STEADY, Trait.RESHAPED):
                    continue
                progress = progress_id(ORGANISATION, journey["_id"], an_owner(statement.learner))
                for waypoint in journey["waypoints"]:
                    if waypoint["conditions"]["statement.verb.id"] == VERBS[statement.verb]:
                        waypoints = found.setdefault(progress, {})
                        key = str(waypoint["_id"])
                        waypoints[key] = waypoints.get(key, frozenset()) | {statement.item}
        return found


def _a_journey(random: Random, number: int, trait: Trait) -> dict[str, Any]:
    verbs = [*VERBS] if trait is Trait.STEADY else [VERBS[0], VERBS[1]]
    if trait not in (Trait.STEADY, Trait.RELEASED):
        verbs.append(NEVER)  # never complete: so nothing is sealed, and nothing depends on when an edit came
    return {
        "_id": ObjectId(f"{number + 1:024x}"),
        "organisation": ORGANISATION,
        "description": str(trait),
        "isActive": True,
        "isSequential": trait is not Trait.RELEASED and random.random() < 0.4,
        "isRepeatable": random.random() < 0.6,
        "waypoints": [_a_waypoint(random, number, place, verb) for place, verb in enumerate(verbs)],
        "version": 1,
    }


def _a_waypoint(random: Random, journey: int, place: int, verb: str) -> dict[str, Any]:
    return {
        "_id": ObjectId(f"{(journey + 1) * 100 + place:024x}"),
        "description": verb,
        "isActive": True,
        "conditions": {"statement.verb.id": verb},
        "count": random.randint(1, 2),
        "order": random.randint(0, place),
    }


def _messages(random: Random, statements: Sequence[Statement]) -> Iterator[Message]:
    """Each statement at least once, in any shape, some repeated, with poison among them."""
    queue = [*statements, *random.choices(statements, k=len(statements) // 3)]
    random.shuffle(queue)
    while queue:
        some = [queue.pop() for _ in range(min(random.choice((1, 1, 1, 3)), len(queue)))]
        values: list[Any] = [random.choice((it.bare, it.document)) for it in some]
        poison: list[int | None] = []
        if len(some) > 1 and random.random() < 0.4:
            values.append({"statement": {"actor": {}}})
            poison.append(len(values) - 1)
        content = values if len(some) > 1 else values[0]
        if random.random() < 0.1:
            content = {"specversion": "1.0", "id": "1", "source": "/", "type": "statement", "data": content}
        key = random.choice((some[0].learner, some[0].learner, str(len(queue)))).encode()
        headers = (("organisation", str(ORGANISATION).encode()),)
        yield Message(orjson.dumps(content), key, headers, tuple(it.number for it in some), tuple(poison))
        if random.random() < 0.12:
            yield Message(random.choice((b"{", b"[1", b'"text"', b"")), b"%d" % len(queue), (), (), (None,))
        if random.random() < 0.06:
            broken = {**some[0].bare, "result": {"score": {"scaled": 7}}}
            yield Message(orjson.dumps(broken), key, headers, (), (None,))


def _edits(random: Random, journey: Mapping[str, Any], trait: Trait) -> Iterator[Edit]:
    latest = dict(journey)
    rounds = 0 if trait is Trait.STEADY else random.randint(2, 4)
    for number in range(rounds):
        match trait:
            case Trait.RESHAPED:
                waypoints = [
                    {**it, "count": random.randint(1, 3), "order": random.randint(0, 2)} for it in latest["waypoints"]
                ]
                latest = {**latest, "waypoints": waypoints, "isSequential": random.random() < 0.5}
            case Trait.GROWING:
                place = len(latest["waypoints"])
                added = _a_waypoint(random, int(str(journey["_id"]), 16) - 1, place, random.choice(VERBS))
                latest = {**latest, "waypoints": [*latest["waypoints"], added]}
            case Trait.SWITCHED:
                yield {**latest, "isActive": False}
                if random.random() < 0.4:  # something else changes, too, so that the version grows
                    waypoints = [{**it, "count": random.randint(1, 3)} for it in latest["waypoints"]]
                    latest = {**latest, "waypoints": waypoints}
            case _:
                latest = {**latest, "isRepeatable": number % 2 == 0, "isSequential": random.random() < 0.3}
        yield latest

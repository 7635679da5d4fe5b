"""The demo's learners: a seeded stream of xAPI statements, out of order and with repeats, as real streams are."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

ORGANISATION = "59198183d8ea540933227033"
START = datetime(2026, 1, 5, 8, tzinfo=UTC)
NAMES = ("Ana", "Bao", "Chidi", "Dara", "Eli", "Fatou", "Goran", "Hana", "Ines", "Jun")
VERBS = "http://adlnet.gov/expapi/verbs"
VIDEO = "https://w3id.org/xapi/video"


def statements(learners: int, seed: int) -> list[bytes]:
    """Return the stream, one JSON statement each; a tenth comes twice, and all is a little shuffled."""
    dice = random.Random(seed)  # noqa: S311 - a simulation
    stream: list[tuple[float, bytes]] = []
    for number in range(learners):
        for position, statement in enumerate(_of_learner(number, dice)):
            line = orjson.dumps(statement)
            place = position + dice.uniform(0, 6)
            stream.append((place, line))
            if dice.random() < 0.1:
                stream.append((place + dice.uniform(0, 4), line))
    return [line for _, line in sorted(stream)]


def _of_learner(number: int, dice: random.Random) -> list[dict[str, Any]]:
    """Some learners stop early; all do a little of everything else too."""
    steps: list[tuple[str, str, str | None, float | None]] = [
        (f"{VERBS}/attended", "https://example.org/meetings/welcome", None, None),
        *(
            (f"{VIDEO}/verbs/played", f"https://example.org/videos/{n}", f"{VIDEO}/activity-type/video", None)
            for n in range(4)
        ),
        *((f"{VERBS}/attempted", f"https://example.org/exercises/{n}", None, None) for n in range(4)),
        (f"{VERBS}/commented", "https://example.org/diary", None, None),
        (f"{VERBS}/commented", "https://example.org/diary", None, None),
        (f"{VERBS}/completed", "https://example.org/quizzes/safety", None, dice.uniform(0.4, 1)),
        (f"{VERBS}/completed", "https://example.org/quizzes/safety", None, dice.uniform(0.6, 1)),
    ]
    done = steps[: dice.choice([4, 7, 10, len(steps), len(steps), len(steps)])]
    begin = START + timedelta(minutes=dice.randint(0, 600))
    return [_statement(number, begin + timedelta(minutes=20 * step), *what, dice) for step, what in enumerate(done)]


def _statement(
    learner: int, time: datetime, verb: str, thing: str, kind: str | None, score: float | None, dice: random.Random
) -> dict[str, Any]:
    return {
        "id": str(UUID(int=dice.getrandbits(128), version=4)),
        "actor": {"name": f"{NAMES[learner % len(NAMES)]} {learner}", "mbox": f"mailto:learner-{learner}@example.org"},
        "verb": {"id": verb},
        "object": {"id": thing, **({"definition": {"type": kind}} if kind else {})},
        **({"result": {"score": {"scaled": round(score, 2)}}} if score is not None else {}),
        "timestamp": time.isoformat().replace("+00:00", "Z"),
    }

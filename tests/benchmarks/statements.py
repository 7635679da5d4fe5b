"""Statements to measure with: real ones where they are at hand, re-stamped and multiplied; else generated ones.

They have the shape of Learning Locker's statement documents, as its pipeline publishes them.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from processor.core.identity import statement_reference
from schemas.ids import format_timestamp
from tests.builders import ORGANISATION, START

REAL = Path(__file__).parents[3] / "shared" / "data" / "video-course-statements.jsonl"
STORE = "59c1219936229d4ce9634601"
VIDEO = "https://w3id.org/xapi/video"
VERB = f"{VIDEO}/verbs/played"
HOME_PAGE = "https://example.org/learners"

Activity = Callable[[int], str | None]
Learner = Callable[[int], int]


@cache
def templates() -> tuple[dict[str, Any], ...]:
    """Return the statements that are multiplied."""
    if REAL.exists():
        return tuple(orjson.loads(line) for line in REAL.read_bytes().splitlines())
    return tuple(map(_generated, range(1_000)))


def source() -> str:
    """Say where the statements come from."""
    return f"{len(templates()):,} real statements" if REAL.exists() else f"{len(templates()):,} generated statements"


def documents(numbers: range, learner: Learner, activity: Activity) -> Iterator[bytes]:
    """Yield statement documents as JSON: each number is a statement of its own, a hundredth of a second after the last.

    `learner` says whose it is. `activity` names what a journey waits for, or None: then it keeps its own object.
    """
    originals = templates()
    for number in numbers:
        time = format_timestamp(START + timedelta(milliseconds=10 * number))
        name = f"statement-{number}"
        statement = {
            **originals[number % len(originals)],
            "id": f"6690e6c9-3ef0-4ed3-8b37-{number:012x}",
            "actor": {"objectType": "Agent", "account": {"name": str(learner(number)), "homePage": HOME_PAGE}},
            "timestamp": time,
        }
        if matched := activity(number):
            statement["verb"] = {"id": VERB, "display": {"en-US": "played"}}
            statement["object"] = {**statement["object"], "id": matched}
        yield orjson.dumps(
            {
                "_id": str(statement_reference(name)),
                "organisation": str(ORGANISATION),
                "lrs_id": STORE,
                "client": STORE,
                "person": None,
                "active": True,
                "voided": False,
                "timestamp": time,
                "stored": time,
                "statement": statement,
            }
        )


def _generated(number: int) -> dict[str, Any]:
    """One of a video course: about as long and as deep as real ones."""
    verb = ("played", "paused", "seeked", "interacted", "initialized", "completed")[number % 6]
    extensions = f"{VIDEO}/extensions"
    return {
        "verb": {"id": f"{VIDEO}/verbs/{verb}", "display": {"en-US": verb}},
        "object": {
            "objectType": "Activity",
            "id": f"https://example.org/videos/{number % 10}",
            "definition": {"type": f"{VIDEO}/activity-type/video", "name": {"en-US": f"Lesson {number % 10}"}},
        },
        "context": {
            "extensions": {f"{extensions}/session-id": f"abb32c5b-ab8f-5f00-9718-{number:012x}"},
            "contextActivities": {
                "category": [{"id": VIDEO}],
                "parent": [
                    {
                        "id": "course-v1:example+00002+session01",
                        "objectType": "Activity",
                        "definition": {"type": "http://adlnet.gov/expapi/activities/course"},
                    }
                ],
            },
        },
        "result": {
            "extensions": {
                f"{extensions}/time": number / 8,
                f"{extensions}/length": 263.24,
                f"{extensions}/progress": number % 100 / 100,
                f"{extensions}/played-segments": f"0[.]42.608[,]43.168[.]{number / 8}",
            }
        },
    }

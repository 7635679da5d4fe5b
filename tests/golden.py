"""The seed's example: its six statements, the journey behind it, and the document they must give, to the letter."""

from typing import Any

ORGANISATION = "59198183d8ea540933227033"
JOURNEY = "59c23527bdf9ac67b2ab5ee6"
LAST, FIRST = "59c237bebdf9ac67b2ab5ee9", "59c237bebdf9ac67b2ab5eea"
ACTOR = {"objectType": "Agent", "account": {"homePage": "http://example.org", "name": "Dave20"}}

JOURNEY_DOCUMENT: dict[str, Any] = {
    "_id": JOURNEY,
    "organisation": ORGANISATION,
    "description": "The seed's journey",
    "isActive": True,
    "isSequential": True,
    "waypoints": [
        {"_id": LAST, "conditions": '{"statement.verb.id": "http://example.org/finished"}', "count": 1, "order": 1},
        {"_id": FIRST, "conditions": '{"statement.verb.id": "http://example.org/tried"}', "count": 5, "order": 0},
    ],
}

_COUNTED = [
    ("59c23b26d138e44a720041ad", "2017-09-20T09:55:50.310Z"),
    ("59c23b27d138e44a720041ae", "2017-09-20T09:55:51.192Z"),
    ("59c23b28d138e44a720041af", "2017-09-20T09:55:52.313Z"),
    ("59c23b28d138e44a720041b0", "2017-09-20T09:55:52.880Z"),
    ("59c23b29d138e44a720041b1", "2017-09-20T09:55:53.799Z"),
    ("59c23b32d138e44d720041a9", "2017-09-20T09:56:02.443Z"),
]

STATEMENT_DOCUMENTS: list[dict[str, Any]] = [
    {
        "_id": reference,
        "organisation": ORGANISATION,
        "lrs_id": "59c236a0bdf9ac67b2ab5ee7",
        "client": "59c236a0bdf9ac67b2ab5ee8",
        "person": None,
        "active": True,
        "voided": False,
        "timestamp": timestamp,
        "stored": timestamp,
        "statement": {
            "id": f"5f3a1c52-8c3e-4f38-9d0c-2b1f6f1d000{number}",
            "actor": ACTOR,
            "verb": {"id": "http://example.org/finished" if number == 5 else "http://example.org/tried"},
            "object": {"objectType": "Activity", "id": "http://example.org/exercise"},
            "timestamp": timestamp,
            "stored": timestamp,
            "version": "1.0.0",
        },
    }
    for number, (reference, timestamp) in enumerate(_COUNTED)
]

EXPECTED: dict[str, Any] = {
    "journey": JOURNEY,
    "organisation": ORGANISATION,
    "pendingProgress": {LAST: {"statements": []}, FIRST: {"statements": []}},
    "duration": 12133,
    "startedAt": "2017-09-20T09:55:50.310Z",
    "completions": [
        {
            "waypoints": {
                LAST: {
                    "completedAt": "2017-09-20T09:56:02.443Z",
                    "isCompleted": True,
                    "statements": [{"timestamp": "2017-09-20T09:56:02.443Z", "statement": "59c23b32d138e44d720041a9"}],
                    "order": 1,
                    "waypoint": LAST,
                },
                FIRST: {
                    "completedAt": "2017-09-20T09:55:53.799Z",
                    "isCompleted": True,
                    "statements": [
                        {"statement": "59c23b26d138e44a720041ad", "timestamp": "2017-09-20T09:55:50.310Z"},
                        {"timestamp": "2017-09-20T09:55:51.192Z", "statement": "59c23b27d138e44a720041ae"},
                        {"statement": "59c23b28d138e44a720041af", "timestamp": "2017-09-20T09:55:52.313Z"},
                        {"timestamp": "2017-09-20T09:55:52.880Z", "statement": "59c23b28d138e44a720041b0"},
                        {"statement": "59c23b29d138e44a720041b1", "timestamp": "2017-09-20T09:55:53.799Z"},
                    ],
                    "order": 0,
                    "waypoint": FIRST,
                },
            },
            "completedAt": "2017-09-20T09:56:02.443Z",
            "isCompleted": True,
        }
    ],
}
"""What the seed shows, without what it makes by itself (ids, wall clock, lockKey)."""

"""What the routes say of themselves in `/openapi.json` and `/docs`: answers, bodies, the nouns behind them."""

from collections.abc import Mapping
from copy import deepcopy
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel

from processor.core.queries import JOURNEY, PROGRESS, Model
from schemas.journey import Journey
from schemas.progress import Progress

Schema = dict[str, Any]
Answers = dict[int | str, dict[str, Any]]

ABOUT: Final = """Learning Locker's *journeyProgress* and *journey* interfaces.

**Auth**: HTTP Basic with the key and secret of a client. Scope `all` reads and writes, `all/read` reads. Everything is
confined to the client's organisation.

**Dialect**: filters are Mongo queries in the language of waypoint conditions; `{"$oid": …}` and `{"$dte": …}` are ids
and dates. Strings are cast where a field is known to hold ids or dates.

**Errors**: `{errorId, message}`; the log has the `errorId`, too.
"""


def _nouns(model: type[BaseModel]) -> Schema:
    """Return a noun's JSON Schema without references, with nothing required: a projection may leave anything out."""
    schema = model.model_json_schema()
    loose: Schema = _loose(schema, schema.get("$defs", {}))
    return loose


def _loose(schema: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_loose(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _loose(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    kept = {key: _loose(value, definitions) for key, value in schema.items() if key not in ("$defs", "required")}
    return kept | ({"additionalProperties": True} if kept.get("additionalProperties") is False else {})


_PROGRESS: Final = {"$ref": "#/components/schemas/Progress"}
_JOURNEY: Final = {"$ref": "#/components/schemas/Journey"}
_SCHEMAS: Final = {PROGRESS.name: _PROGRESS, JOURNEY.name: _JOURNEY}

COMPONENTS: Final[Mapping[str, Schema]] = {
    "Progress": _nouns(Progress),
    "Journey": _nouns(Journey),
    "Problem": {
        "type": "object",
        "required": ["errorId", "message"],
        "properties": {"errorId": {"type": "string", "format": "uuid"}, "message": {"type": "string"}},
    },
}


def _json(description: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem(description: str) -> dict[str, Any]:
    return _json(description, {"$ref": "#/components/schemas/Problem"})


PROBLEMS: Final[Answers] = {
    400: _problem("Something in the request cannot be used; the message has its path."),
    401: {
        "description": "Nobody we know.",
        "content": {"text/plain": {"schema": {"type": "string", "const": "Unauthorized"}}},
    },
    403: _problem("The client's scopes do not suffice."),
    404: _problem("There is no such thing in the client's organisation."),
    408: _problem("The body is too slow."),
    413: _problem("The body is too long."),
    429: _problem("Too many requests."),
    503: _problem("MongoDB does not answer, or not in time. Try again."),
}
"""What every route of the interfaces may answer."""


def one_of(model: Model, status: int = HTTPStatus.OK) -> Answers:
    """Answer with one document."""
    return {int(status): _json(f"The {model.name}.", _SCHEMAS[model.name])}


def list_of(model: Model) -> Answers:
    """Answer with documents, or with values if `distinct` is asked."""
    items = {"anyOf": [_SCHEMAS[model.name], {"description": "With `distinct`: a value."}]}
    return {200: _json(f"A list of {model.name}.", {"type": "array", "items": items})}


def page_of_nodes(model: Model) -> Answers:
    """Answer with a page."""
    edge = {
        "type": "object",
        "required": ["cursor", "node"],
        "properties": {"cursor": {"type": "string"}, "node": _SCHEMAS[model.name]},
    }
    flag, cursor = {"type": "boolean"}, {"type": "string"}
    info = {
        "type": "object",
        "required": ["startCursor", "endCursor", "hasNextPage", "hasPreviousPage"],
        "properties": {"startCursor": cursor, "endCursor": cursor, "hasNextPage": flag, "hasPreviousPage": flag},
        "additionalProperties": False,
    }
    page = {
        "type": "object",
        "required": ["edges", "pageInfo"],
        "properties": {"edges": {"type": "array", "items": edge}, "pageInfo": info},
        "additionalProperties": False,
    }
    return {200: _json(f"A page of {model.name}.", page)}


def journey_alone() -> Answers:
    """Answer with `{journey}`."""
    schema = {"type": "object", "required": ["journey"], "properties": {"journey": _JOURNEY}}
    return {200: _json("The journey, with its `recalculateStatus`.", schema)}


def health_answers(fault: str) -> Answers:
    """Answer with a verdict and what is wrong."""
    schema = {
        "type": "object",
        "required": ["status", "faults"],
        "properties": {
            "status": {"enum": ["ok", "unavailable"]},
            "faults": {"type": "array", "items": {"type": "string"}},
        },
    }
    return {200: _json("Well.", schema), 503: _json(fault, schema)}


COUNT: Final[Answers] = {
    200: _json(
        "How many.",
        {"type": "object", "required": ["count"], "properties": {"count": {"type": "integer", "minimum": 0}}},
    )
}

_EXAMPLE: Final = {
    "description": "Onboarding",
    "isActive": True,
    "waypoints": [
        {
            "description": "Watch three videos",
            "count": 3,
            "conditions": {"statement.verb.id": "https://w3id.org/xapi/video/verbs/played"},
        }
    ],
}


def _body(schema: Schema, example: Any) -> dict[str, Any]:
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": deepcopy(schema), "example": example}},
        }
    }


JOURNEY_BODY: Final = _body(_JOURNEY, _EXAMPLE)
EXPLAIN_BODY: Final = _body(
    {
        "type": "object",
        "required": ["journey", "statement"],
        "properties": {
            "journey": {"anyOf": [{"type": "string"}, _JOURNEY], "description": "A journey, or its id."},
            "statement": {
                "anyOf": [{"type": "string"}, {"type": "object"}],
                "description": "A statement, a statement document, or the id of one.",
            },
        },
    },
    {
        "journey": _EXAMPLE,
        "statement": {
            "id": "6690e6c9-3ef0-4ed3-8b37-7f3964730bee",
            "actor": {"mbox": "mailto:ana@example.org"},
            "verb": {"id": "https://w3id.org/xapi/video/verbs/played"},
            "object": {"id": "https://example.org/videos/1"},
        },
    },
)
EXPLANATION: Final[Answers] = {
    200: _json(
        "Why, or why not.",
        {
            "type": "object",
            "required": ["journey", "statement", "waypoints"],
            "properties": {
                "journey": {"type": "string"},
                "statement": {"type": "string"},
                "waypoints": {"type": "array", "items": {"type": "object"}},
            },
        },
    )
}

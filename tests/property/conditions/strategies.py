"""Documents and queries that favour the corners where query languages disagree with MongoDB.

Few keys and few values, and queries made of the paths and values of the documents at hand: so that a query tells
documents apart instead of missing them all, and equal values of different types meet.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

from bson import ObjectId
from hypothesis import strategies as st

Json = Any
Case = tuple[list[dict[str, Json]], list[dict[str, Json]]]

DATES = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1000, tzinfo=UTC))
IDS = (ObjectId("59c23b28f6463f3569446bd1"), ObjectId("59c23b28f6463f3569446bd2"))
OTHER_HEX = ("59c23b28f6463f3569446be1", "59C23B28F6463F3569446BE1")
"""Spellings of ids that stand nowhere as ObjectIds: mongod knows nothing of spellings."""

TEXTS = ("", "a", "A", "b", "ab", "a\nb", "a\n", "\n", "1", "é", "\u017f", "\u2028", "\x0b", "\uffff", "\U0001f600")
NUMBERS = (
    *(0, 1, 2, -1, -7, 5, 2**31 - 1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)),
    *(0.0, -0.0, 1.0, 0.5, 1.5, -1.5, -7.9, 2.0**53, 2.0**63, 1e19, 1e300, float("inf"), float("-inf"), float("nan")),
)
COMMON = (None, True, False, 0, 1, 2, 1.0, "a", "b")
KEYS = ("a", "b", "0", "1")

SCALARS = (*COMMON, *COMMON, *COMMON, *NUMBERS, *TEXTS, *DATES, *IDS, *OTHER_HEX)

Thing = TypeVar("Thing")


@cache
def _below(end: int) -> st.SearchStrategy[int]:
    return st.integers(0, end - 1)


class Dice:
    """Draws by position from tuples: strategies made anew for each draw would cost ten times as much."""

    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int]) -> None:
        self._draw = draw

    def number(self, least: int, most: int) -> int:
        return least + self._draw(_below(most - least + 1))

    def one(self, things: Sequence[Thing]) -> Thing:
        return things[self.number(0, len(things) - 1)]

    def some(self, make: Callable[[], Thing], least: int, most: int) -> list[Thing]:
        return [make() for _ in range(self.number(least, most))]


def a_value(dice: Dice, depth: int = 3, leaves: Sequence[Json] = SCALARS) -> Json:
    """A scalar, or an array or document of values; scalars are half of all."""
    kind = dice.one("ssssaaadd" if depth else "s")
    if kind == "s":
        return dice.one(leaves)
    if kind == "a":
        return dice.some(lambda: a_value(dice, depth - 1, leaves), 0, 3)
    return {key: a_value(dice, depth - 1, leaves) for key in dice.some(lambda: dice.one(KEYS), 0, 3)}


def a_document(dice: Dice) -> dict[str, Json]:
    document = {"a": a_value(dice)}
    if dice.number(0, 1):
        document["b"] = a_value(dice)
    if dice.number(0, 1):
        document["0"] = a_value(dice, 1)
    return document


@dataclass
class Material:
    """What queries are made of: the paths and values of some documents."""

    paths: list[str] = field(default_factory=lambda: ["a", "b", "a.a", "a.0", "a.b", "a.00", "a.1.0"])
    values: list[Json] = field(default_factory=lambda: [None, 1, "a", [], {}])

    def gather(self, value: Json, path: str = "") -> None:
        self.values.append(value)
        if path:
            self.paths += {path, path.replace(".0", "").replace(".1", ""), f"{path}.a"}
        for key, child in _children(value):
            self.gather(child, f"{path}.{key}" if path else key)


def _children(value: Json) -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((str(number), child) for number, child in enumerate(value))


PATTERNS = ("", "a", "^a", "b$", "^$", ".", "^a.b", "A", r"\d", r"\s", r"\S", "[ab]{2}", "a|b", r"\x{1f600}", "é")
OPTIONS = ("", "", "i", "m", "s", "im", "si")
TYPES = (
    *("double", "string", "object", "array", "objectId", "bool", "date", "null", "int", "long", "number", "decimal"),
    *(1, 2, 3, 4, 7, 8, 9, 10, 16, 18, 2.0, -1, 127, 6),
)
EXISTS: tuple[Json, ...] = (True, False, 0, 1, 0.0, None, "", [], {})
COMPARISONS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")
LISTS = ("$in", "$nin", "$all")


def a_regex(dice: Dice) -> dict[str, Json]:
    options = dice.one(OPTIONS)
    return {"$regex": dice.one(PATTERNS)} | ({"$options": options} if options else {})


def an_operator(dice: Dice, material: Material) -> tuple[str, Json]:
    operator = dice.one((*COMPARISONS, *COMPARISONS, *LISTS, "$exists", "$type", "$size", "$mod"))
    if operator in COMPARISONS:
        return operator, dice.one(material.values)
    if operator in LISTS:
        listed = dice.some(lambda: dice.one(material.values), 0, 3)
        return operator, [*listed, a_regex(dice)] if dice.number(0, 3) == 0 else listed
    if operator == "$exists":
        return operator, dice.one(EXISTS)
    if operator == "$type":
        types = dice.some(lambda: dice.one(TYPES), 1, 2)
        return operator, types[0] if len(types) == 1 else types
    if operator == "$size":
        return operator, dice.one((0, 1, 2, 2.0, 3))
    return operator, [dice.one((1, 2, -2, 4, 2.9, -4)), dice.one((0, 1, -1, -3, 0.5))]


def operators(dice: Dice, material: Material, depth: int) -> dict[str, Json]:
    """`{$op: …}` beside a path."""
    kind = dice.one("ssssrtneea" if depth else "sssr")
    if kind == "s":
        return dict([an_operator(dice, material)])
    if kind == "r":
        return a_regex(dice)
    if kind == "t":
        return dict([an_operator(dice, material), an_operator(dice, material)])
    if kind == "n":
        return {"$not": operators(dice, material, depth - 1)}
    if kind == "a":
        return {"$all": dice.some(lambda: an_elem_match(dice, material, depth - 1), 1, 2)}
    return an_elem_match(dice, material, depth - 1)


def an_elem_match(dice: Dice, material: Material, depth: int) -> dict[str, Json]:
    """`{$elemMatch: …}` of operators on the element, or of a query over a document."""
    asked = operators if dice.number(0, 1) else a_query
    return {"$elemMatch": asked(dice, material, depth)}


def a_query(dice: Dice, material: Material, depth: int = 2) -> dict[str, Json]:
    """A well-formed query: mostly one path."""
    query: dict[str, Json] = {}
    for _ in range(dice.one((1, 1, 1, 2, 0))):
        path = dice.one(material.paths)
        if depth < 2 and dice.number(0, 1):
            path = path.rpartition(".")[2]  # within an element
        is_plain = dice.number(0, 3) == 0
        query[path] = dice.one(material.values) if is_plain else operators(dice, material, depth)
    if depth and dice.number(0, 3) == 0:
        operator = dice.one(("$and", "$or", "$nor"))
        query[operator] = dice.some(lambda: a_query(dice, material, depth - 1), 1, 3)
    return query


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Some documents, and queries made of what is in them."""
    dice = Dice(draw)
    drawn = dice.some(lambda: a_document(dice), 8, 12)
    material = Material()
    for document in drawn:
        for key, value in document.items():
            material.gather(value, key)
    return drawn, dice.some(lambda: a_query(dice, material), 6, 10)

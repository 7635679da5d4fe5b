"""Documents and queries that favour the corners where query languages disagree with MongoDB.

Few keys and few values, and queries made of the paths and values of the documents at hand: so that a query tells
documents apart instead of missing them all, and equal values of different types meet.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

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

scalars = st.sampled_from((*COMMON, *COMMON, *COMMON, *NUMBERS, *TEXTS, *DATES, *IDS, *OTHER_HEX))


@st.composite
def values(draw: st.DrawFn, depth: int = 3, leaf: st.SearchStrategy[Json] = scalars) -> Json:
    """A scalar, or an array or document of values; scalars are half of all."""
    kind = draw(st.sampled_from("ssssaaadd" if depth else "s"))
    if kind == "s":
        return draw(leaf)
    inner = values(depth - 1, leaf)
    if kind == "a":
        return draw(st.lists(inner, max_size=3))
    return draw(st.dictionaries(st.sampled_from(KEYS), inner, max_size=3))


documents = st.fixed_dictionaries({"a": values()}, optional={"b": values(), "0": values(1)})


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
regexes = st.builds(
    lambda pattern, options: {"$regex": pattern} | ({"$options": options} if options else {}),
    st.sampled_from(PATTERNS),
    st.text("ims", max_size=2),
)
TYPES = (
    *("double", "string", "object", "array", "objectId", "bool", "date", "null", "int", "long", "number", "decimal"),
    *(1, 2, 3, 4, 7, 8, 9, 10, 16, 18, 2.0, -1, 127, 6),
)
FEW_TYPES = st.lists(st.sampled_from(TYPES), min_size=1, max_size=2)
EXISTS: tuple[Json, ...] = (True, False, 0, 1, 0.0, None, "", [], {})
COMPARISONS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte")
LISTS = ("$in", "$nin", "$all")


@st.composite
def one_operator(draw: st.DrawFn, material: Material) -> tuple[str, Json]:
    operator = draw(st.sampled_from((*COMPARISONS, *COMPARISONS, *LISTS, "$exists", "$type", "$size", "$mod")))
    value = st.sampled_from(material.values)
    if operator in COMPARISONS:
        return operator, draw(value)
    if operator in LISTS:
        listed = draw(st.lists(value, max_size=3))
        return operator, [*listed, draw(regexes)] if draw(st.integers(0, 3)) == 0 else listed
    if operator == "$exists":
        return operator, draw(st.sampled_from(EXISTS))
    if operator == "$type":
        types = draw(FEW_TYPES)
        return operator, types[0] if len(types) == 1 else types
    if operator == "$size":
        return operator, draw(st.sampled_from((0, 1, 2, 2.0, 3)))
    return operator, [draw(st.sampled_from((1, 2, -2, 4, 2.9, -4))), draw(st.sampled_from((0, 1, -1, -3, 0.5)))]


@st.composite
def operators(draw: st.DrawFn, material: Material, depth: int) -> dict[str, Json]:
    """`{$op: …}` beside a path."""
    kind = draw(st.sampled_from("ssssrtneea" if depth else "sssr"))
    if kind == "s":
        return dict([draw(one_operator(material))])
    if kind == "r":
        return draw(regexes)
    if kind == "t":
        return dict([draw(one_operator(material)), draw(one_operator(material))])
    if kind == "n":
        return {"$not": draw(operators(material, depth - 1))}
    if kind == "a":
        return {"$all": draw(st.lists(elem_matches(material, depth - 1), min_size=1, max_size=2))}
    return draw(elem_matches(material, depth - 1))


@st.composite
def elem_matches(draw: st.DrawFn, material: Material, depth: int) -> dict[str, Json]:
    """`{$elemMatch: …}` of operators on the element, or of a query over a document."""
    asked = operators if draw(st.booleans()) else queries
    return {"$elemMatch": draw(asked(material, depth))}


@st.composite
def queries(draw: st.DrawFn, material: Material, depth: int = 2) -> dict[str, Json]:
    """Well-formed queries: mostly one path."""
    query: dict[str, Json] = {}
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 0)))):
        path = draw(st.sampled_from(material.paths))
        if depth < 2 and draw(st.booleans()):
            path = path.rpartition(".")[2]  # within an element
        is_plain = draw(st.integers(0, 3)) == 0
        query[path] = draw(st.sampled_from(material.values) if is_plain else operators(material, depth))
    if depth and draw(st.integers(0, 3)) == 0:
        operator = draw(st.sampled_from(("$and", "$or", "$nor")))
        query[operator] = draw(st.lists(queries(material, depth - 1), min_size=1, max_size=3))
    return query


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Some documents, and queries made of what is in them."""
    drawn = draw(st.lists(documents, min_size=8, max_size=12))
    material = Material()
    for document in drawn:
        for key, value in document.items():
            material.gather(value, key)
    return drawn, draw(st.lists(queries(material), min_size=6, max_size=10))

"""To look at a chunk is to look at each of its documents, however the shelves are divided."""

from collections.abc import Sequence
from itertools import product
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import pytest

from processor.core.conditions import Place, Requirements
from processor.core.shelves import CROWD, Entry, Looks, Shelves

LOOKS = Looks(
    {"verb": lambda seen: (seen.verb,), "object": lambda seen: (seen.object,)},
    {"verb": attrgetter("verb"), "object": attrgetter("object")},
)
DOCUMENTS = [SimpleNamespace(verb=verb, object=thing) for verb, thing in product("abc", "xyz")] * 2


def needing(several: int = 1, **keys: str) -> list[Entry[Any]]:
    required: Requirements = tuple((Place(path, (key,)),) for path, key in keys.items())
    return [Entry(object(), required) for _ in range(several)]


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([], id="nothing"),
        pytest.param([*needing(verb="a"), *needing(CROWD + 1, verb="b")], id="one shelf"),
        pytest.param(
            [*needing(CROWD + 1, verb="a", object="x"), *needing(CROWD + 1, verb="b", object="x"), *needing(verb="c")],
            id="one shelf with a place that is divided",
        ),
        pytest.param([*needing(verb="a"), *needing(object="x")], id="two shelves"),
        pytest.param([*needing(verb="a"), *needing()], id="something that every document may match"),
    ],
)
def test_a_chunk_holds_what_each_of_its_documents_holds(entries: Sequence[Entry[Any]]) -> None:
    shelves = Shelves(entries)
    found = dict(shelves.holding(LOOKS, DOCUMENTS))
    for number, document in enumerate(DOCUMENTS):
        needed = {"verb": document.verb, "object": document.object}
        wanted = [it.thing for it in entries if all(place.keys == (needed[place.path],) for [place] in it.requirements)]
        held = shelves.held(LOOKS, document)
        assert held is not None
        assert set(wanted) <= set(held)
        assert list(found.get(number) or ()) == list(held)

"""Finds, among very many things, the few whose requirements a document may meet, by hash look-ups alone.

Each thing stands under one of its requirements: a path and the keys one of which must be there. A place that too many
share is divided again by what else they require. What requires nothing is met by every document.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

from processor.core.conditions import Requirement, Requirements, keys_at

Thing = TypeVar("Thing")
Keys = Iterable[Any]


class Looks(NamedTuple):
    """How to look at what was seen of a document: by path, what finds its keys, or the text that is always there."""

    keys: Mapping[str, Callable[[Any], Keys]]
    texts: Mapping[str, Callable[[Any], str]]


Held = tuple[int, Sequence[Thing] | None]
"""A position, and what may be met there: None for anything."""

CROWD: Final = 8
"""So many things may share a place: to evaluate them costs about as much as to look further."""


class Entry(NamedTuple, Generic[Thing]):
    """A thing, and all that a document must have for it."""

    thing: Thing
    requirements: Requirements


class Shelves(Generic[Thing]):
    """An immutable index of things. Documents get candidates: all that can match, and a few that do not."""

    __slots__ = ("_by_path", "_is_divided", "_unconditional", "paths")

    def __init__(self, entries: Sequence[Entry[Thing]], used: frozenset[str] = frozenset()) -> None:
        """Index the entries by paths other than those that are `used` already."""
        self._unconditional: list[Thing] = []
        places: dict[str, dict[Any, list[Entry[Thing]]]] = defaultdict(dict)
        choose = _chooser(entries, used)
        for entry in entries:
            chosen = choose(entry.requirements)
            if chosen is None:
                self._unconditional.append(entry.thing)
                continue
            for path, keys in chosen:
                for key in keys:
                    places[path].setdefault(key, []).append(entry)
        self._by_path = [
            (path, keys_at(path), {key: _shelf(crowd, used | {path}) for key, crowd in keys.items()})
            for path, keys in places.items()
        ]
        all_there = [things for *_, shelf in self._by_path for things in shelf.values()]
        divided = [things for things in all_there if isinstance(things, Shelves)]
        self._is_divided = bool(divided)
        self.paths: frozenset[str] = frozenset(places).union(*(it.paths for it in divided))
        """Every path that is looked at, on shelves within shelves too."""

    def candidates(self, document: Mapping[str, Any]) -> Iterable[Thing]:
        """Return each thing that the document may match, once."""
        found: dict[int, Thing] = {}
        self._collect(document, found, {})
        return found.values()

    def _collect(self, document: Mapping[str, Any], found: dict[int, Thing], known: dict[str, Keys]) -> None:
        for thing in self._unconditional:
            found[id(thing)] = thing
        for path, keys_of, shelf in self._by_path:
            keys = known.get(path)
            if keys is None:
                keys = known[path] = keys_of(document)
            for key in keys:
                things = shelf.get(key, ())
                if isinstance(things, Shelves):
                    things._collect(document, found, known)  # noqa: SLF001 - its own kind
                else:
                    for thing in things:
                        found[id(thing)] = thing

    def holding(self, looks: Looks, seen: Sequence[Any]) -> Sequence[Held[Thing]]:
        """Return the positions of what may match, of what was seen of some documents, each with what (see `held`)."""
        if self._unconditional or not all(path in looks.texts for path, _, _ in self._by_path):
            return self._holding(looks, seen, range(len(seen)))
        places: list[tuple[int, Shelves[Thing] | tuple[Thing, ...]]] = []
        for path, _, shelf in self._by_path:
            texts = map(looks.texts[path], seen)
            keys = [text if len(text) != 24 else text.lower() for text in texts]
            places += [(number, place) for number, place in enumerate(map(shelf.get, keys)) if place is not None]
        if len(self._by_path) > 1:
            return self._holding(looks, seen, dict.fromkeys(number for number, _ in places))
        if not self._is_divided:
            return cast("Sequence[Held[Thing]]", places)
        held = ((it, place.held(looks, seen[it]) if isinstance(place, Shelves) else place) for it, place in places)
        return [(number, things) for number, things in held if things is None or things]

    def _holding(self, looks: Looks, seen: Sequence[Any], numbers: Iterable[int]) -> Sequence[Held[Thing]]:
        held = ((number, self.held(looks, seen[number])) for number in numbers)
        return [(number, things) for number, things in held if things is None or things]

    def held(self, looks: Looks, seen: Any) -> Sequence[Thing] | None:
        """Return all that a document can match, and a few things that it does not, of what was seen of it.

        None when there is a path that was not looked at: that may hold anything.
        """
        held = list(self._unconditional)
        for path, _, shelf in self._by_path:
            if path not in looks.keys:
                return None
            for key in looks.keys[path](seen):
                things = shelf.get(key, ())
                within = things.held(looks, seen) if isinstance(things, Shelves) else things
                if within is None:
                    return None
                held += within
        return held


def _shelf(crowd: Sequence[Entry[Thing]], used: frozenset[str]) -> Shelves[Thing] | tuple[Thing, ...]:
    if len(crowd) > CROWD and any(_is_free(it, used) for entry in crowd for it in entry.requirements):
        return Shelves(crowd, used)
    return tuple(entry.thing for entry in crowd)


def _is_free(requirement: Requirement, used: frozenset[str]) -> bool:
    return not any(place.path in used for place in requirement)


def _chooser(entries: Iterable[Entry[Thing]], used: frozenset[str]) -> Callable[[Requirements], Requirement | None]:
    """Return what chooses the requirement that the fewest others share; of those that few share, the usual path.

    The fewer paths are in use, the fewer look-ups a document costs.
    """
    crowds: Counter[tuple[str, Any]] = Counter()
    paths: Counter[str] = Counter()
    for entry in entries:
        for requirement in entry.requirements:
            for path, keys in requirement:
                paths[path] += 1
                crowds.update((path, key) for key in keys)

    def cost(requirement: Requirement) -> tuple[int, int]:
        crowd = max((crowds[path, key] for path, keys in requirement for key in keys), default=0)
        return max(crowd, CROWD), -min((paths[place.path] for place in requirement), default=0)

    return lambda requirements: min((it for it in requirements if _is_free(it, used)), key=cost, default=None)

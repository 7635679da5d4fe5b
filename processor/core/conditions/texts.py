"""Conditions that only ask for texts: to hold a statement to them takes no more of it than those."""

from collections.abc import Mapping
from typing import Final

from processor.core.conditions.compiled import Clause, Conditions
from processor.core.conditions.operators import is_plain

VERB: Final = "statement.verb.id"
ACTIVITY: Final = "statement.object.id"
ACTIVITY_TYPE: Final = "statement.object.definition.type"

Texts = Mapping[str, frozenset[str]]
"""By path, the texts one of which has to be there."""


def texts_of(conditions: Conditions) -> Texts | None:
    """Return the texts that are asked for, if that is all that is asked; else None.

    The paths are those of the verb, the activity and its type: where a single text or nothing stands there, that is the
    same question. Kept on those that are asked about: most of ten thousand journeys' never are.
    """
    try:
        return conditions.texts
    except AttributeError:  # nobody has asked yet
        conditions.texts = _texts(conditions.clause)
        return conditions.texts


def _texts(clause: Clause) -> Texts | None:
    if clause.operator == "$and" and clause.parts:
        texts: dict[str, frozenset[str]] = {}
        for part in clause.parts:
            within = _texts(part)
            if within is None:
                return None
            texts.update({path: texts.get(path, wanted) & wanted for path, wanted in within.items()})
        return texts
    if clause.path not in (VERB, ACTIVITY, ACTIVITY_TYPE) or clause.operator not in ("$eq", "$in"):
        return None
    wanted = clause.asked if clause.operator == "$in" else [clause.asked]
    is_of_texts = all(type(text) is str and is_plain(text) for text in wanted)
    return {clause.path: frozenset(wanted)} if is_of_texts else None

"""Conditions that only ask for texts: to hold a statement to them takes no more of it than those."""

from collections.abc import Mapping

from processor.core.conditions.compiled import Clause
from processor.core.conditions.operators import is_plain


def texts_of(clause: Clause) -> Mapping[str, frozenset[str]] | None:
    """Return by path the texts one of which has to be there, if that is all that is asked; else None.

    Where a single text or nothing stands at each path, that is the same question.
    """
    if clause.operator == "$and" and clause.parts:
        texts: dict[str, frozenset[str]] = {}
        for part in clause.parts:
            within = texts_of(part)
            if within is None:
                return None
            texts.update({path: texts.get(path, wanted) & wanted for path, wanted in within.items()})
        return texts
    wanted = clause.asked if clause.operator == "$in" else [clause.asked]
    is_asked = clause.operator in ("$eq", "$in") and clause.path is not None and isinstance(wanted, list)
    if not is_asked or not all(type(text) is str and is_plain(text) for text in wanted):
        return None
    return {str(clause.path): frozenset(wanted)}

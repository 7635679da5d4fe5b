"""Projections: which fields a caller wants, or does not want; renamed where asked. No expression is ever run."""

from collections.abc import Mapping
from typing import Any, Final

from processor.core.conditions import InvalidConditions
from processor.core.conditions.dialect import check_extent
from processor.core.queries.models import Model
from processor.errors import InvalidInput

Projection = dict[str, Any]
"""A `$project` stage: by path 1, 0, or `$path` for a field under another name."""

FIELDS_LIMIT: Final = 100


def projection_from(value: Any, model: Model, parameter: str = "project") -> Projection | None:
    """Read `{"journey": 1}`, `{"completions": 0}`, `{"name": "$owner.ident.name"}`, nested if need be.

    Returns None when nothing is asked. Raises `InvalidInput`.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{parameter}: a projection is a JSON object of fields and 1 or 0")
    try:
        check_extent(value)
    except InvalidConditions as error:
        raise InvalidInput(f"{parameter}: {error}") from None
    fields = dict(_flat(value, "", model, parameter))
    if len(fields) > FIELDS_LIMIT:
        raise InvalidInput(f"{parameter}: at most {FIELDS_LIMIT} fields")
    has_both = {bool(wish) for path, wish in fields.items() if path != "_id"} == {True, False}
    if has_both or (fields.get("_id") and False in map(bool, fields.values())):
        raise InvalidInput(f"{parameter}: fields are either wanted or not wanted; only _id may differ")
    return fields or None


def selection_from(text: str, model: Model, parameter: str = "select") -> Projection | None:
    """Read `journey,owner` or `-completions`, as the REST interface takes them. Raises `InvalidInput`."""
    names = text.replace(",", " ").split()
    return projection_from({name.lstrip("-+"): int(not name.startswith("-")) for name in names}, model, parameter)


def _flat(value: Mapping[str, Any], prefix: str, model: Model, parameter: str) -> list[tuple[str, Any]]:
    fields: list[tuple[str, Any]] = []
    for key, wish in value.items():
        path = f"{prefix}{key}"
        model.check_path(path, parameter)
        if isinstance(wish, Mapping):
            fields += _flat(wish, f"{path}.", model, parameter)
        elif isinstance(wish, str) and wish.startswith("$"):
            model.check_path(wish[1:], parameter)
            fields.append((path, wish))
        elif wish in (0, 1) and not isinstance(wish, list):
            fields.append((path, int(wish)))
        else:
            raise InvalidInput(f'{parameter}: {path}: say 1, 0 or "$path" of another field, not {wish!r:.40}')
    return fields

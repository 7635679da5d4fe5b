"""Filters: the condition language, asked of stored documents by a mongod instead of by us.

What conditions refuse is refused here: JavaScript, aggregation, unknown operators, what RE2 cannot run, too deep. Of
regular expressions there may be fewer, as a filter is compiled at each request, and run by MongoDB on every document.
"""

from collections.abc import Mapping
from typing import Any, Final

from bson import Regex

from processor.core.conditions import InvalidConditions, compile_conditions
from processor.core.conditions.ask import is_about_element, is_operators
from processor.core.conditions.regex import IN_FILTER
from processor.core.queries.models import Model, cast
from processor.errors import InvalidInput

JOINING: Final = ("$and", "$or", "$nor")
COMPARING: Final = frozenset({"$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$all"})
PREFIXES: Final = ((">=", "$gte"), (">", "$gt"), ("<=", "$lte"), ("<", "$lt"), ("!=", "$ne"))
"""Longest first where one begins another."""


def filter_from(value: Any, model: Model, parameter: str = "filter") -> dict[str, Any]:
    """Return a caller's filter as MongoDB is to be asked. Raises `InvalidInput` with the path of the fault."""
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{parameter}: a filter is a JSON object")
    try:
        source = compile_conditions(value, IN_FILTER).source
    except InvalidConditions as error:
        raise InvalidInput(f"{parameter}: {error}") from None
    return _query(source, model, "", parameter)


def rest_filter_from(value: Any, model: Model, parameter: str = "query") -> dict[str, Any]:
    """Like `filter_from`, with the prefixes of Learning Locker's REST interface (its behaviour, section 6.2).

    A string `~x` means a regular expression without case, `>x`, `>=x`, `<x`, `<=x`, `!=x` compare; a list at a field
    means one of it, in which nothing compares. What stands beside an operator, as in `{"$in": ["~x"]}`, is as written.
    """
    return filter_from(_unprefixed(value, parameter) if isinstance(value, Mapping) else value, model, parameter)


def _query(query: Mapping[str, Any], model: Model, prefix: str, parameter: str) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    for key, value in query.items():
        if key == "$comment":
            continue
        if key in JOINING:
            asked[key] = [_query(part, model, prefix, parameter) for part in value]
        else:
            path = f"{prefix}{key}"
            model.check_path(path, parameter)
            asked[key] = _operand(value, model, path, parameter)
    return asked


def _operand(value: Any, model: Model, path: str, parameter: str) -> Any:
    """What stands beside a path: operators, or a value to equal, cast to the kind of the field."""
    if not is_operators(value):
        return _cast(value, model, path, parameter)
    if "$regularExpression" in value:
        return _regex(value)
    return {
        operator: _asked(operator, asked, model, path, parameter)
        for operator, asked in value.items()
        if operator != "$comment"
    }


def _asked(operator: str, asked: Any, model: Model, path: str, parameter: str) -> Any:
    if operator in COMPARING:
        return _cast(asked, model, path, parameter)
    if operator == "$not":
        return _operand(asked, model, path, parameter)
    if operator == "$elemMatch":
        if is_about_element(asked):
            return _operand(asked, model, path, parameter)
        return _query(asked, model, f"{path}.", parameter)
    return _options(asked) if operator == "$options" else asked


def _cast(value: Any, model: Model, path: str, parameter: str) -> Any:
    if isinstance(value, list):
        return [_cast(item, model, path, parameter) for item in value]
    if isinstance(value, Mapping) and ("$regex" in value or "$regularExpression" in value):
        return _regex(value)
    if isinstance(value, Mapping) and "$elemMatch" in value:  # within $all
        return _operand(value, model, path, parameter)
    return cast(model.kind_at(path), value, f"{parameter}: {path}")


def _regex(value: Mapping[str, Any]) -> Regex[str]:
    """A regular expression as a value; what is in it has passed the conditions."""
    inner = value.get("$regularExpression", {})
    options = value.get("$options", inner.get("options", ""))
    return Regex(value.get("$regex", inner.get("pattern")), _options(options))


def _options(options: str) -> str:
    """Those of a regular expression without `u`: it is so anyway, and not every mongod takes it."""
    return options.replace("u", "")


def _unprefixed(query: Mapping[str, Any], parameter: str, depth: int = 0) -> dict[str, Any]:
    if depth > 100:  # the filter is refused for it a moment later
        return dict(query)
    return {key: _of_rest(key, value, parameter, depth + 1) for key, value in query.items()}


def _of_rest(key: str, value: Any, parameter: str, depth: int) -> Any:
    if key in JOINING and isinstance(value, list):
        return [_unprefixed(part, parameter, depth) if isinstance(part, Mapping) else part for part in value]
    if isinstance(value, Mapping):
        return _unprefixed(value, parameter, depth)
    if isinstance(value, str) and (key == "$not" or not key.startswith("$")):
        return _of_prefix(value)
    if isinstance(value, list) and not key.startswith("$"):
        return {"$in": [_of_item(item, f"{parameter}: {key}") if isinstance(item, str) else item for item in value]}
    return value


def _of_item(text: str, at: str) -> Any:
    found = _of_prefix(text)
    if isinstance(found, str) or "$regex" in found:
        return found
    raise InvalidInput(
        f"{at}: {text!r:.40} compares, and cannot be one of a list: join comparisons with $and or $or, or write "
        '{"$in": […]} for the text itself'
    )


def _of_prefix(text: str) -> Any:
    if text.startswith("~"):
        return {"$regex": text[1:], "$options": "i"}
    for prefix, operator in PREFIXES:
        if text.startswith(prefix):
            return {operator: text.removeprefix(prefix)}
    return text

"""Learning Locker writes `&46;` for a dot in a key, as MongoDB once refused dots (learning-locker-behaviour.md 3.2)."""

from typing import Any


def encode_dots(value: Any) -> Any:
    """Return the value with `&46;` for every dot in every key, at any depth; the input is left alone."""
    return _with_keys(value, ".", "&46;")


def decode_dots(value: Any) -> Any:
    """Return the value with a dot for every `&46;` in every key, at any depth; the input is left alone."""
    return _with_keys(value, "&46;", ".")


def _with_keys(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key.replace(old, new): _with_keys(child, old, new) for key, child in value.items()}
    if isinstance(value, list):
        return [_with_keys(child, old, new) for child in value]
    return value

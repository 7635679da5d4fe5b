"""Dots in keys, as Learning Locker writes them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.dots import decode_dots, encode_dots

PLAIN = {"http://e.org/x": [{"a.b": "v.w"}, ["c.d"]], "n": None}
ENCODED = {"http://e&46;org/x": [{"a&46;b": "v.w"}, ["c.d"]], "n": None}

VALUES = st.recursive(
    st.none() | st.integers() | st.text("ab.&46;", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab.", max_size=4), inner, max_size=3),
)


def test_keys_change_at_any_depth_and_values_never() -> None:
    assert encode_dots(PLAIN) == ENCODED
    assert decode_dots(ENCODED) == PLAIN


def test_what_has_nothing_to_change_is_the_same_object() -> None:
    assert encode_dots(ENCODED) is ENCODED
    assert decode_dots(PLAIN) is PLAIN


@given(VALUES)
def test_decoding_undoes_encoding(value: Any) -> None:
    encoded = encode_dots(value)

    assert decode_dots(encoded) == value
    assert encode_dots(encoded) is encoded

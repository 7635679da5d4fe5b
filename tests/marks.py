"""Marks of tests that cannot run everywhere."""

import pytest

from processor.embedded.servers import broker_program, mongod_program
from processor.errors import EmbeddedUnavailable


def _what_is_missing() -> str:
    try:
        mongod_program()
        broker_program()
    except EmbeddedUnavailable as unavailable:
        return str(unavailable)
    return ""


MISSING = _what_is_missing()

needs_embedded = pytest.mark.skipif(bool(MISSING), reason=MISSING)
"""For the embedded servers themselves, and the demo: no others will do, wherever the tests' servers come from."""

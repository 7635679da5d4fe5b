"""What commands publish many records by: chunks that are acknowledged one after the other, and how far that came."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from processor.errors import BrokerUnavailable, Misfit

CHUNK_BYTES = 8_388_608
"""Bytes of a chunk, which is in memory, and has one deadline."""


@contextmanager
def telling_how_many(published: Callable[[], int]) -> Iterator[None]:
    """Say how many records were published where not all are: in the error, or in the log when this is interrupted."""
    try:
        yield
    except (BrokerUnavailable, Misfit) as error:
        raise type(error)(f"{error}; {published()} were published before") from None
    except asyncio.CancelledError:
        log = structlog.get_logger(__name__)
        log.warning("interrupted; doing it again is harmless", acknowledged=published())
        raise

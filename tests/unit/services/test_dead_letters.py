"""Replay: each record once, at the asked rate."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from processor.core.letters import DeadLetter, Place, Selection
from processor.errors import BrokerUnavailable
from processor.services import dead_letters as room
from processor.services.dead_letters import Replayed, replay

EVERYTHING = Selection()


def a_letter(offset: int, item: int | None = None, reason: str = "not-json", value: bytes = b"{") -> DeadLetter:
    place = Place("dead", 0, offset)
    return DeadLetter(place, value, None, (), reason, "", Place("in", 0, offset), item, timestamp=offset)


async def replayed(
    letters: Sequence[DeadLetter], selection: Selection = EVERYTHING, rate: float | None = None
) -> tuple[Replayed, list[list[DeadLetter]]]:
    chunks: list[list[DeadLetter]] = []

    async def stream() -> AsyncIterator[DeadLetter]:
        for letter in letters:
            yield letter

    async def find(letter: DeadLetter) -> DeadLetter | None:
        return None if letter.value == b"gone" else letter

    async def publish(chunk: Sequence[DeadLetter]) -> list[str | None]:
        if any(letter.value == b"last" for letter in chunk):
            raise BrokerUnavailable("Kafka: away")
        if any(letter.value == b"interrupted" for letter in chunk):
            raise asyncio.CancelledError
        chunks.append(list(chunk))
        return ["too large" if letter.value == b"large" else None for letter in chunk]

    return await replay(stream(), selection, find, publish, rate), chunks


async def test_a_record_is_published_once_however_many_letters_it_left() -> None:
    letters = [a_letter(1, 0), a_letter(2), a_letter(1, 3, "no-tenant"), a_letter(1, 0)]
    done, chunks = await replayed(letters)
    assert chunks == [[letters[0], letters[1]]]
    assert done == Replayed({"not-json": 3, "no-tenant": 1}, records=2, published=2, gone=0)  # type: ignore[arg-type]  # a Counter is a dict


async def test_what_was_replayed_and_parked_again_is_published_once() -> None:
    """Its copy lies elsewhere, and is the same: else each replay of what stays bad would be twice the last."""
    letters = [replace(a_letter(1), origin=Place("in", 0, offset)) for offset in (1, 8, 9)]
    done, chunks = await replayed(letters)
    assert chunks == [[letters[0]]]
    assert (done.letters, done.records, done.published) == ({"not-json": 3}, 1, 1)


async def test_only_what_is_chosen_is_published_and_what_is_gone_is_counted() -> None:
    stranger = DeadLetter(Place("dead", 0, 9), b"?", None, ())
    letters = [a_letter(1), a_letter(2, reason="empty"), a_letter(3, value=b"gone"), stranger]
    done, chunks = await replayed(letters, Selection(frozenset({"not-json"})))
    assert chunks == [[letters[0]]]
    assert (done.records, done.published, done.gone) == (2, 1, 1)
    assert (await replayed([stranger]))[1] == []


async def test_what_is_refused_is_named_and_does_not_block_what_comes_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CHUNK_RECORDS", 2)
    done, chunks = await replayed([a_letter(1), a_letter(2, value=b"large"), a_letter(3)])
    assert [len(chunk) for chunk in chunks] == [2, 1]
    assert (done.records, done.published, done.refused) == (3, 2, {"in-0@2": "too large"})


async def test_an_outage_says_how_many_were_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CHUNK_RECORDS", 2)
    letters = [a_letter(number) for number in range(5)]
    with pytest.raises(BrokerUnavailable, match=r"Kafka: away; 4 were published before$"):
        await replayed([*letters, a_letter(5, value=b"last")])


async def test_an_interruption_says_how_many_were_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CHUNK_RECORDS", 2)
    letters = [a_letter(number) for number in range(5)]
    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await replayed([*letters, a_letter(5, value=b"interrupted")])
    assert [(it["log_level"], it["acknowledged"]) for it in logs] == [("warning", 4)]


async def test_chunks_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CHUNK_BYTES", 10)
    _, chunks = await replayed([a_letter(number, value=b"four") for number in range(7)])
    assert [len(chunk) for chunk in chunks] == [3, 3, 1]


async def test_a_rate_is_kept() -> None:
    began = asyncio.get_running_loop().time()
    _, chunks = await replayed([a_letter(number) for number in range(41)], rate=200)
    assert asyncio.get_running_loop().time() - began >= 40 / 200
    assert max(map(len, chunks)) == 20
    assert sum(map(len, chunks)) == 41

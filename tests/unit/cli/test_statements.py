"""`statements publish`: lines as they are, keyed by actor, gz too."""

import gzip
import io
import os
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from processor.cli.statements import _bar, _lines, key_of
from processor.errors import InvalidInput
from tests.builders import a_statement, a_statement_document


def lines_of(*files: Path) -> list[bytes]:
    with _bar(Console(file=io.StringIO())) as progress:
        return [value for _key, value, _headers in _lines(list(files), [], progress)]


def test_lines_go_as_they_are_and_empty_ones_do_not_go(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a.jsonl", tmp_path / "b.jsonl.gz"
    plain.write_bytes(b'{"a": 1}\n\nnot json\r\n')
    packed.write_bytes(gzip.compress(b'  {"b": 2}\n{"c": 3}'))
    assert lines_of(plain, packed) == [b'{"a": 1}', b"not json", b'{"b": 2}', b'{"c": 3}']


def test_the_bar_of_a_file_bears_its_name(tmp_path: Path) -> None:
    """On a terminal, and no markup is read in it."""
    path, terminal = tmp_path / "a[b].jsonl", io.StringIO()
    path.write_bytes(b"{}")
    with _bar(Console(file=terminal, force_terminal=True, width=200)) as progress:
        assert list(_lines([path], [], progress)) == [(None, b"{}", [])]
    assert "a[b].jsonl" in terminal.getvalue()


def test_a_pipe_is_read_like_a_file() -> None:
    reading, writing = os.pipe()
    os.write(writing, b'{"a": 1}\n{"b": 2}\n')
    os.close(writing)
    try:
        assert lines_of(Path(f"/dev/fd/{reading}")) == [b'{"a": 1}', b'{"b": 2}']
    finally:
        os.close(reading)


PACKED = gzip.compress(b"{}\n" * 999)


@pytest.mark.parametrize(
    "content",
    [b"plain text", PACKED[:-9], PACKED[:10] + b"\xff" + PACKED[11:]],
    ids=["not gzip", "cut off", "damaged"],
)
def test_a_gzip_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"a\.jsonl\.gz is not a whole gzip file"):
        lines_of(path)


def test_one_learners_statements_share_a_key_in_either_shape() -> None:
    keys = {key_of(orjson.dumps(value)) for value in (a_statement(1), a_statement(2), a_statement_document(3))}
    assert keys == {b'["mbox","mailto:ana@example.org"]'}


@pytest.mark.parametrize("line", [b"not json", b"5", b"[]", b"{}", b'{"actor": 5}', b'{"statement": 5}'])
def test_what_has_no_actor_has_no_key(line: bytes) -> None:
    assert key_of(line) is None

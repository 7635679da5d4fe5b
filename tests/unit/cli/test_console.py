"""What comes from elsewhere (a record, a mail address, a file's name) is shown on a terminal as it is."""

import pytest

from processor.cli.console import Branch, print_table, print_tree

STRANGE = "[bold] [/b] [link=x] \x1b]0;title\x07 \x9b2J \r :smile:"
SHOWN = r"[bold] [/b] [link=x] \x1b]0;title\x07 \x9b2J \x0d :smile:"


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich takes standard output for a terminal without colours."""
    for name, value in {"FORCE_COLOR": "1", "TERM": "dumb", "COLUMNS": "500"}.items():
        monkeypatch.setenv(name, value)


def test_a_table_reads_no_markup_and_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([STRANGE, "number"], [[STRANGE, 5], ["一二", "two\nlines"]])
    out = capsys.readouterr().out
    assert out.splitlines() == [f"{SHOWN}  number", f"{SHOWN}  5", f"一二{' ' * (len(SHOWN) - 2)}two", "lines"]
    assert not {"\x1b", "\x07", "\x9b", "\r"} & set(out)


def test_a_table_is_whole_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret that is shown once must not be cut, and an id is there to be copied."""
    monkeypatch.setenv("COLUMNS", "20")
    print_table(["client", "key", "secret"], [["c" * 24, "k" * 40, "s" * 40], ["short", "", "two words"]])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:2]] == [["client", "key", "secret"], ["c" * 24, "k" * 40, "s" * 40]]
    assert lines[2] == f"{'short':24}  {'':40}  two words"


def test_a_tree_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_tree(Branch(STRANGE, "bold", [Branch(STRANGE)]))
    out = capsys.readouterr().out
    assert out.splitlines() == [SHOWN, f"└── {SHOWN}"]

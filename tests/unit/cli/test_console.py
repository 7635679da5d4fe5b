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
    print_table([STRANGE, "number"], [[STRANGE, 5], ["two\nlines", None]])
    out = capsys.readouterr().out
    assert "━" in out
    assert out.count(SHOWN) == 2
    assert not {"\x1b", "\x07", "\x9b", "\r"} & set(out)
    assert any(line.split() == ["│", "lines", "│", "│"] for line in out.splitlines())


def test_a_tree_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_tree(Branch(STRANGE, "bold", [Branch(STRANGE)]))
    out = capsys.readouterr().out
    assert out.splitlines() == [SHOWN, f"└── {SHOWN}"]

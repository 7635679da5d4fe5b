"""What is promised has a place where it is kept and tests that fail without it; and so has every trap."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
IDS = ["I1", "I2", "I3", "F1", "P1", "P2", "P3", "R1", "R2"]
TRAPS = range(1, 9)
NUMBERS = {18: "eighteen", 19: "nineteen", 20: "twenty"}
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"\[`([^`]+)`\]\(([^)]+)\)")
PAGE = re.sub(  # its links as the README would write them
    r"\]\((\.\./)?",
    lambda link: "](" if link[1] else "](tests/",
    (ROOT / "tests" / "GUARANTEES.md").read_text(encoding="utf-8"),
)


class Guarantee(NamedTuple):
    name: str
    kept_in: list[tuple[str, str]]
    tests: list[tuple[str, str]]


def guarantees() -> list[Guarantee]:
    """The rows of the table: id, promise, links to the sources, links to the tests."""
    rows = re.findall(r"^\| \*\*(\w\d)\*\* \|(.*)\|$", PAGE, re.MULTILINE)
    cells = [(name, rest.split(" | ")) for name, rest in rows]
    return [Guarantee(name, LINK.findall(kept), LINK.findall(tests)) for name, (_, kept, tests) in cells]


def tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def docstrings(path: str) -> str:
    """All docstrings of a file."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return "\n".join(ast.get_docstring(node) or "" for node in ast.walk(tree(path)) if isinstance(node, documented))


def names_in(path: str) -> set[str]:
    functions = (node for node in tree(path).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node.name for node in functions if node.name.startswith("test_")}


def test_every_guarantee_stands_in_the_table_once() -> None:
    assert [guarantee.name for guarantee in guarantees()] == IDS


@pytest.mark.parametrize("guarantee", guarantees(), ids=lambda it: it.name)
def test_the_docstrings_of_the_source_name_the_guarantee(guarantee: Guarantee) -> None:
    assert guarantee.kept_in
    for text, path in guarantee.kept_in:
        assert path.endswith(text)
        assert re.search(rf"\b{guarantee.name}\b", docstrings(path)), f"{path} does not name {guarantee.name}"


@pytest.mark.parametrize("guarantee", guarantees(), ids=lambda it: it.name)
def test_the_tests_of_the_guarantee_exist_and_name_it(guarantee: Guarantee) -> None:
    assert guarantee.tests
    for name, path in guarantee.tests:
        assert name in names_in(path), f"{path} has no {name}"
        assert guarantee.name.lower() in name.split("_")


def test_the_readme_has_each_with_the_same_words_and_one_of_its_tests() -> None:
    page, readme = [
        dict(re.findall(r"^\| \*\*(\w\d)\*\* \| ([^|]+) \|", text, re.MULTILINE)) for text in (PAGE, README)
    ]
    assert readme == page
    for guarantee in guarantees():
        [shown] = re.findall(rf"^\| \*\*{guarantee.name}\*\* \|.*\| ([^|]+) \|$", README, re.MULTILINE)
        [link] = LINK.findall(shown)
        assert link in guarantee.tests


FAULTS = re.findall(r"^\| \*\*([^*]{3,})\*\*[^|]*\|.*\| ([^|]+) \|$", PAGE, re.MULTILINE)
"""The rows of the table of faults: what happens, and the cell with its tests."""


def test_the_faults_of_the_table_are_many() -> None:
    assert len(FAULTS) >= 12
    assert f"{NUMBERS[len(FAULTS)]} faults" in README


@pytest.mark.parametrize(("fault", "cell"), FAULTS, ids=[fault for fault, _ in FAULTS])
def test_the_tests_of_a_fault_exist(fault: str, cell: str) -> None:
    tests = LINK.findall(cell)
    assert tests
    for name, path in tests:
        assert name in names_in(path), f"{path} has no {name}"


MARKED = re.findall(r"\[`(test_\w+)`\]\(([^)]+)\)( \(`make test-apache`\))?", PAGE)
"""All tests that the page links to: name, path, and the mark of those that `make test` skips."""


def says_that_it_needs_apache(name: str, path: str) -> bool:
    """Tell whether a test, or a function of its file that it calls, has that as its reason to be skipped."""
    functions = {
        node.name: node for node in tree(path).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    called = {node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name)} & functions.keys()
    return any("`make test-apache`" in ast.unparse(functions[it]) for it in (name, *called))


@pytest.mark.parametrize(("name", "path", "mark"), MARKED, ids=[name for name, _, _ in MARKED])
def test_a_test_that_is_skipped_by_default_is_marked_so(name: str, path: str, mark: str) -> None:
    assert bool(mark) == says_that_it_needs_apache(name, path)


@pytest.mark.parametrize("trap", TRAPS)
def test_every_trap_of_the_architecture_has_a_test(trap: int) -> None:
    pattern = re.compile(rf"^(async )?def test_\w*trap_{trap}_", re.MULTILINE)
    assert any(pattern.search(path.read_text(encoding="utf-8")) for path in (ROOT / "tests").rglob("test_*.py"))

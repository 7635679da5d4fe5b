"""`python -m tests.house` writes the last section of `processor/README.md`: every module, as its docstring begins."""

import ast
from collections.abc import Iterator
from pathlib import Path

HOUSE = Path(__file__).parents[1] / "processor"
PAGE = HOUSE / "README.md"
BELOW = "## Modules\n"

ROOMS = {
    "core": "Pure: no I/O, no clock, no logging, no coroutines.",
    "core/conditions": "The condition language: Mongo queries compiled to predicates (../schemas/CONDITIONS.md).",
    "core/queries": "What callers of the interfaces ask for, checked.",
    "ports": "What the loops need of the world, as protocols.",
    "services": "The loops and what they share; they know ports, never a store or a transport.",
    "store": "MongoDB.",
    "transport": "Kafka.",
    "api": "The HTTP interfaces.",
    "cli": "The commands.",
    "testing": "The fakes, which pass the same contract tests as the real parts.",
    "embedded": "The servers of the demo and of tests.",
    "": "Settings, errors, metrics, and what puts all of the above together.",
    "../schemas": "The nouns as they are read and written, and their JSON Schemas.",
}


def house_page() -> str:
    """Return `processor/README.md`: as it is, and for each module the first paragraph of its docstring."""
    above, below, _ = PAGE.read_text(encoding="utf-8").partition(BELOW)
    return above + below + "".join(_room(name, about) for name, about in ROOMS.items())


def _room(name: str, about: str) -> str:
    modules = "\n".join(f"- `{path.stem}`: {about}" for path, about in _modules(HOUSE / name))
    title = f"`{name.removeprefix('../') or 'processor'}/`"
    return f"\n### {title}\n\n{about}\n\n{modules}\n"


def _modules(room: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(room.glob("*.py")):
        if path.stem != "__init__":
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            yield path, " ".join(docstring.partition("\n\n")[0].split())


if __name__ == "__main__":
    PAGE.write_text(house_page(), encoding="utf-8")

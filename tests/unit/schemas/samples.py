"""The shared samples: read in place, never copied into the project."""

import json
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[4] / "shared" / "data"
CONFORMANCE = DATA / "xapi-conformance-1.0.3.jsonl"
COURSE = DATA / "video-course-statements.jsonl"


def needs(path: Path) -> pytest.MarkDecorator:
    """Skip where the samples are not beside the project."""
    return pytest.mark.skipif(not path.exists(), reason=f"../shared/data/{path.name} is not beside this checkout")


def lines(path: Path) -> list[dict[str, Any]]:
    """Every line of a sample, decoded."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

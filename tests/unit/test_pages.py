"""What people read is right: links lead somewhere, and settings, metrics, alerts and commands that are named exist."""

import re
from pathlib import Path

import pytest
import typer
import yaml

from processor.cli.main import app
from processor.metrics import Metrics
from processor.settings import PREFIX, Settings
from tests.house import PAGE, house_page

ROOT = Path(__file__).parents[2]
PAGES = [
    *("README.md", "deploy/OPERATING.md", "deploy/HTTP.md", "deploy/SETTINGS.md", "deploy/METRICS.md"),
    *("processor/README.md", "schemas/CONDITIONS.md", "tests/GUARANTEES.md"),
]
NO_SETTINGS = {"", "NIGHTLY", "SEED"}
"""The prefix alone, and what tests go by."""


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def anchors_in(page: Path) -> set[str]:
    """The anchors that a reader gets for the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if not link.startswith("https://"):
            path, _, anchor = link.partition("#")
            target = (ROOT / page).parent / path if path else ROOT / page
            assert target.exists(), link
            assert not anchor or anchor in anchors_in(target), link


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_that_is_named_is_one(page: str) -> None:
    named = {name.removeprefix(PREFIX) for name in re.findall(r"`([A-Z]+_[A-Z_]+)(?:=[^`]*)?`", text_of(page))}
    assert {name for name in named - NO_SETTINGS if name.lower() not in Settings.model_fields} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_metric_that_is_named_is_one(page: str) -> None:
    known = {metric.name.removeprefix("journey_progress_") for metric in Metrics().described}
    named = re.findall(r"`(?:journey_progress_)?([a-z_]+_(?:total|seconds))(?:\{\w+\})?`", text_of(page))
    assert set(named) <= known


def test_what_to_do_at_night_is_said_of_every_alert() -> None:
    rules = yaml.safe_load(text_of("deploy/alerts.yaml"))["groups"][0]["rules"]
    rows = re.findall(r"^\| (JourneyProgress\w+) \|", text_of("deploy/OPERATING.md"), re.MULTILINE)
    assert sorted(rows) == sorted(rule["alert"] for rule in rules)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_shown_is_one(page: str) -> None:
    for words in re.findall(r"journey-progress ((?:[a-z][a-z-]* ?)+)", text_of(page)):
        known = getattr(typer.main.get_command(app), "commands", {})
        for word in words.split():
            if known:  # else they are its arguments
                assert word in known, words
                known = getattr(known[word], "commands", {})


def test_the_house_is_described_as_it_is() -> None:
    """`make docs` writes it."""
    assert PAGE.read_text(encoding="utf-8") == house_page()

"""The alerts that are shipped ask for metrics, labels and states that exist, and each says what to do."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from processor.core.fold import Outcome
from processor.core.promotion import SURPLUS_CUT
from processor.metrics import Metrics
from processor.services import ingest, promoter, recalculation, relay

ROOT = Path(__file__).parents[2]
LOOPS = [ingest.LOOP, promoter.LOOP, relay.LOOP, recalculation.LOOP]
"""One of each part: the other loops are beside these."""

DROPPED = [SURPLUS_CUT, *Outcome]

RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]


def series() -> dict[str, MetricWrapperBase]:
    """Every name that can be scraped."""
    found: dict[str, MetricWrapperBase] = {}
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            kind = type(metric)
            endings = ["_total"] if kind is Counter else ["_bucket", "_sum", "_count"] if kind is Histogram else [""]
            found |= {metric._name + ending: metric for ending in endings}
    return found


def _states(metric: MetricWrapperBase) -> str:
    return metric._documentation.partition("(")[2]


def test_there_are_some_and_no_two_of_a_name() -> None:
    assert len(RULES) >= 6
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_it_asks_for_what_exists(rule: dict[str, Any]) -> None:
    names = re.findall(r"journey_progress_\w+", rule["expr"])
    assert names
    for name in names:
        assert name in series(), name
    for name, label, value in re.findall(r'(journey_progress_\w+)\{(\w+)="([\w-]+)"\}', rule["expr"]):
        metric = series()[name]
        assert label in metric._labelnames
        known = " ".join(LOOPS) if label == "loop" else " ".join(DROPPED) if label == "reason" else _states(metric)
        assert re.search(rf"\b{value}\b", known), f"{value} is not among {name}'s"
    assert rule["expr"].count("(") == rule["expr"].count(")")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_it_says_what_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert re.fullmatch(r"[1-9]\d?m", rule.get("for", "1m"))
    assert rule["annotations"].keys() == {"summary", "remedy"}
    for text in rule["annotations"].values():
        assert text.endswith(".")
        assert "\n" not in text
    for label in re.findall(r"\$labels\.(\w+)", str(rule["annotations"])):
        left = rf"by \([^)]*\b{label}\b|absent\(\w+\{{{label}="
        assert re.search(left, rule["expr"]), f"{label} is not left by the expression"


def test_each_loop_that_is_run_nowhere_is_told_of_by_itself() -> None:
    """One that is scraped must not speak for the others; `lag` and the like end with their loop, and tell nothing."""
    [rule] = [rule for rule in RULES if rule["alert"] == "JourneyProgressIsAway"]
    absent = re.fullmatch(r"absent\((.+)\)", rule["expr"])
    assert absent
    wanted = [f'journey_progress_loop_progressed_timestamp_seconds{{loop="{loop}"}}' for loop in LOOPS]
    assert absent[1].split(") or absent(") == wanted

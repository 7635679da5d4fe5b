"""The alerts that are shipped ask for metrics, labels and states that exist, and each says what to do."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from processor.metrics import Metrics

ROOT = Path(__file__).parents[2]
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


def test_there_are_some_and_no_two_of_a_name() -> None:
    assert len(RULES) >= 6
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_it_asks_for_what_exists(rule: dict[str, Any]) -> None:
    names = re.findall(r"journey_progress_\w+", rule["expr"])
    assert names
    for name in names:
        assert name in series(), name
    for name, label, value in re.findall(r'(journey_progress_\w+)\{(\w+)="(\w+)"\}', rule["expr"]):
        metric = series()[name]
        assert label in metric._labelnames
        assert re.search(rf"\b{value}\b", metric._documentation.partition("(")[2]), f"{value} is not among {name}'s"
    assert rule["expr"].count("(") == rule["expr"].count(")")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_it_says_what_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule.keys() <= {"alert", "expr", "for", "annotations"}
    assert re.fullmatch(r"[1-9]\d?m", rule.get("for", "1m"))
    assert rule["annotations"].keys() == {"summary", "remedy"}
    for text in rule["annotations"].values():
        assert text.endswith(".")
        assert "\n" not in text
    for label in re.findall(r"\$labels\.(\w+)", str(rule["annotations"])):
        assert re.search(rf"by \([^)]*\b{label}\b", rule["expr"]), f"{label} is not left by the expression"

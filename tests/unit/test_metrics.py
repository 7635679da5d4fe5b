"""The closed list of metrics: what is served is what is declared, each described, and nothing else makes one."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from processor.core.identity import Uncounted
from processor.core.records import Reason
from processor.metrics import Metrics
from processor.metrics_page import metrics_page

SOURCES = Path(__file__).parents[2] / "processor"
NAMES = {
    "records",
    "statements",
    "matches",
    "appends",
    "dead_letters",
    "passed_over",
    "uncounted",
    "lost_commits",
    "ingest_seconds",
    "lag",
    "journeys",
    "scanned_waypoints",
    "promotions",
    "fenced",
    "failed_promotions",
    "held_back",
    "dropped_evidence",
    "promote_seconds",
    "reread",
    "replayed_evidence",
    "retracted_evidence",
    "documents",
    "oldest_document_seconds",
    "events",
    "relay_seconds",
    "http_requests",
    "http_request_seconds",
    "outages",
    "loop_progressed_timestamp_seconds",
}
"""Dashboards and alerts stand on these: a name that goes or changes is a breaking change."""


def instruments(metrics: Metrics) -> dict[str, MetricWrapperBase]:
    return {name: value for name, value in vars(metrics).items() if isinstance(value, MetricWrapperBase)}


def test_the_list_is_closed() -> None:
    families = {family.name for family in Metrics().registry.collect()}
    assert families == {f"journey_progress_{name}" for name in NAMES}
    assert len(instruments(Metrics())) == len(NAMES)


def test_each_is_described() -> None:
    for family in Metrics().registry.collect():
        assert family.documentation.endswith((".", "(P1).", "see the log.")), family.name
        assert len(family.documentation) > 10


def test_labels_have_few_values() -> None:
    """Never an id: a label per learner or journey would burst a monitoring system."""
    labels = {name: tuple(it._labelnames) for name, it in instruments(Metrics()).items() if it._labelnames}
    assert labels == {
        "dead_letters": ("reason",),
        "uncounted": ("reason",),
        "lag": ("topic", "partition"),
        "journeys": ("state",),
        "dropped": ("reason",),
        "requests": ("route", "status"),
        "documents": ("state",),
        "oldest": ("state",),
        "outages": ("loop",),
        "progressed": ("loop",),
    }
    assert len(Reason) + len(Uncounted) < 20


def test_the_page_is_made_from_them() -> None:
    """`make docs` writes it."""
    page = (SOURCES.parent / "deploy" / "METRICS.md").read_text(encoding="utf-8")
    assert page == metrics_page()
    assert page.count("\n| `journey_progress_") == len(NAMES)


def test_two_processes_of_one_machine_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.records.inc()
    assert other.registry.get_sample_value("journey_progress_records_total") == 0


def test_what_is_served_is_prometheus_text() -> None:
    metrics = Metrics()
    metrics.dead_letters.labels(str(Reason.NOT_JSON)).inc()
    assert b'journey_progress_dead_letters_total{reason="not-json"} 1.0' in generate_latest(metrics.registry)


@pytest.mark.parametrize("kind", [Counter, Gauge, Histogram], ids=lambda kind: kind.__name__)
def test_nothing_else_makes_one(kind: type) -> None:
    makers = [path.name for path, text in _sources() if re.search(rf"prometheus_client.*\b{kind.__name__}\b", text)]
    assert makers == ["metrics.py"]


def _sources() -> Iterator[tuple[Path, str]]:
    for path in SOURCES.rglob("*.py"):
        yield path, path.read_text(encoding="utf-8")

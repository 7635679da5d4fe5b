"""Every metric of the processor: the closed list, and nothing else creates one.

A `Metrics` belongs to one process and its own registry, so that tests and several instances do not share state. Under
`run --processes N` the children keep their values in files of one directory, as prometheus_client does it, and any of
them shows the sums of all; of gauges, which say how things stand, what was said last by one that lives.
"""

import os
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.multiprocess import MultiProcessCollector

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Names the directory of the values of several processes; prometheus_client reads it when it is imported."""

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

LEAST = {"loop_progressed_timestamp_seconds"}
"""Gauges of which several processes show the least: one that stands still must not hide behind the others."""


class Described(NamedTuple):
    """One of them for a reader: its name as it is scraped, its kind, its labels and what it tells."""

    name: str
    kind: str
    labels: tuple[str, ...]
    about: str


class Metrics:
    """The instruments, by name; each is described where it is made."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.described: list[Described] = []

        def described(kind: str, name: str, about: str, labels: tuple[str, ...]) -> str:
            scraped = f"journey_progress_{name}"
            self.described.append(Described(scraped + ("_total" if kind == "counter" else ""), kind, labels, about))
            return scraped

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(described("counter", name, about, labels), about, labels, registry=self.registry)

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            mode: Literal["livemin", "livemostrecent"] = "livemin" if name in LEAST else "livemostrecent"
            scraped = described("gauge", name, about, labels)
            return Gauge(scraped, about, labels, registry=self.registry, multiprocess_mode=mode)

        def histogram(name: str, about: str) -> Histogram:
            return Histogram(described("histogram", name, about, ()), about, buckets=SECONDS, registry=self.registry)

        # Ingest
        self.records = counter("records", "Kafka records read.")
        self.statements = counter("statements", "Statements that passed the structural check.")
        self.matches = counter("matches", "Waypoints that statements counted towards.")
        self.appends = counter("appends", "Progress documents that evidence was appended to.")
        self.dead_letters = counter("dead_letters", "Letters parked, by reason.", "reason")
        self.passed_over = counter("passed_over", "Statements not read whole, as their learners are through for good.")
        self.uncounted = counter("uncounted", "Matches that are nobody's progress, by reason.", "reason")
        self.lost_commits = counter("lost_commits", "Batches whose partitions had moved on: they come again.")
        self.ingest_seconds = histogram("ingest_seconds", "From a polled batch until its commit is on its way.")
        self.lag = gauge(
            "lag", "Records not read yet, as the brokers know it every BACKLOG_POLL.", "topic", "partition"
        )

        # Journeys
        self.journeys = gauge("journeys", "Journeys in the snapshot, by state (running, idle, broken).", "state")
        self.scanned_waypoints = gauge("scanned_waypoints", "Waypoints whose conditions allow no index.")

        # Promotion
        self.promotions = counter("promotions", "Documents promoted.")
        self.fenced = counter("fenced", "Promotions that found their lockKey gone (P1).")
        self.failed_promotions = counter(
            "failed_promotions", "Documents whose promotion, or recalculation, raised: see the log."
        )
        self.held_back = counter("held_back", "Documents not promoted, as too many of their events wait for a relay.")
        self.dropped = counter("dropped_evidence", "Evidence that left for good, by reason.", "reason")
        self.promote_seconds = histogram("promote_seconds", "From a claim to its apply; must stay below the lease.")

        # Recalculation
        self.reread = counter("reread", "Statements (or their places) that recalculations looked at.")
        self.replayed = counter("replayed_evidence", "Evidence that recalculations found, known or new.")
        self.retracted = counter("retracted_evidence", "Evidence that recalculations took back.")
        # What waits, as the store counts it every BACKLOG_POLL seconds
        self.documents = gauge(
            "documents", "Progress documents by state (due, claimed, expired, waiting, outbox).", "state"
        )
        self.oldest = gauge(
            "oldest_document_seconds",
            "For how long the oldest has been due, its lease expired, its events unpublished (due, expired, outbox).",
            "state",
        )

        # Relay
        self.events = counter("events", "Progress-updated events acknowledged by the broker.")
        self.relay_seconds = histogram("relay_seconds", "From outboxes in hand to their events acknowledged.")

        # HTTP
        self.requests = counter("http_requests", "Requests answered, by route and status.", "route", "status")
        self.request_seconds = histogram("http_request_seconds", "From a request to its answer.")

        # Health
        self.outages = counter("outages", "Tries that found a server unavailable, by loop.", "loop")
        self.progressed = gauge("loop_progressed_timestamp_seconds", "When a loop last came round.", "loop")

    def forget_lag(self, topic: str, partition: int) -> None:
        """Tell no more of a partition that went to another member.

        Where files are shared its last word is 0, as prometheus_client cannot remove there: if a sibling has it, that
        is what is shown until the sibling tells of it next.
        """
        if SHARED in os.environ:
            self.lag.labels(topic, partition).set(0)
        else:
            self.lag.remove(topic, partition)

    @property
    def shown(self) -> CollectorRegistry:
        """What a scrape gets: the values of this process, or of all that share a directory with it."""
        if SHARED not in os.environ:
            return self.registry
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # prometheus_client has no type here
        return together

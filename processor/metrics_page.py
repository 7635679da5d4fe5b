"""`python -m processor.metrics_page` prints the page `deploy/METRICS.md`."""

import sys

from processor.metrics import Described, Metrics


def metrics_page() -> str:
    """Return `deploy/METRICS.md`: every metric as it is scraped, with its labels and its meaning."""
    return "\n".join(
        [
            "# Metrics",
            "",
            "Scraped from `/metrics` on `HTTP_PORT`. Made by `make docs`; do not edit. Names and labels are stable:",
            "dashboards and [`alerts.yaml`](alerts.yaml) stand on them. No label is an id. Other pages leave out the",
            "prefix `journey_progress_`. A histogram has `_bucket` (by `le`, in seconds), `_sum` and `_count`.",
            "",
            "| metric | kind | labels | meaning |",
            "| --- | --- | --- | --- |",
            *map(_row, Metrics().described),
            "",
        ]
    )


def _row(metric: Described) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.about} |"


if __name__ == "__main__":
    sys.stdout.write(metrics_page())

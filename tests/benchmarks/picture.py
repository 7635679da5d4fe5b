"""One picture of the table: how many statements a second, ours and the peers', and the floors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from tests.benchmarks.goals import MEMORY, floor_of
from tests.benchmarks.subjects import OURS


def draw(results: Mapping[str, Any], path: Path) -> bool:
    """Draw the medians of a whole run; the scale is logarithmic, as workloads differ by orders of magnitude.

    Return whether there was anything to draw.
    """
    mpl.use("agg")
    streaming, machine = results["streaming"], results["machine"]
    subjects, floors = streaming["subjects"], streaming["floors"]
    workloads = [name for name in subjects[OURS.name] if name != MEMORY]
    if not workloads:
        return False
    figure = Figure(figsize=(11, 1.2 + 0.28 * len(workloads) * (len(subjects) + 1)), layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(subjects)
    for number, (subject, found) in enumerate(subjects.items()):
        places = [place + number * height for place, name in enumerate(workloads) if name in found]
        rates = [found[name]["rate"] for name in workloads if name in found]
        bars = axes.barh(places, rates, height * 0.9, label=subject)
        axes.bar_label(bars, [f"{rate:,.0f}" for rate in rates], padding=3, fontsize=8)
    for place, name in enumerate(workloads):
        if floor := floor_of(name, floors):
            axes.plot([floor] * 2, [place - height / 2, place + 0.8 - height / 2], "k--", lw=1)
    axes.plot([], [], "k--", lw=1, label="floor (F-decode, F-mongo)")
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(workloads))], workloads)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("statements/s, one process on one core (medians)")
    axes.set_title(f"{machine['cpu']}, {machine['cores']} cores; broker: {streaming['servers']}", fontsize=9)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=130)
    return True

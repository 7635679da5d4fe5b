"""`make bench` judges what it has found, and takes nothing that it has not found for good."""

import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.benchmarks import __main__ as whole
from tests.benchmarks import conditions, streaming
from tests.benchmarks.goals import RATIOS, against, judged
from tests.benchmarks.machine import Cores
from tests.benchmarks.saturation import Cost, Run
from tests.benchmarks.streaming import Options, _Rounds
from tests.benchmarks.subjects import OURS, PEERS, Subject
from tests.benchmarks.surroundings import Outcome, Stalled
from tests.benchmarks.tables import tell
from tests.benchmarks.workloads import Workload, settings_for, workloads
from tests.servers import Servers

WORKLOADS = [name for name, it in workloads(1).items() if not it.is_ours_alone]
SERVERS = Servers("kafka:9092", "mongodb://mongo", "embedded")
CORES = Cores(0, 0, 0, 0)
NEAREST, *OTHERS = PEERS


def a_run(rate: float, cpu: float = 10.0) -> Run:
    return Run(rate, {"processor": Cost(cpu, 100.0, 1.0)}, 0)


def figures(ours: Sequence[float], peers: Mapping[str, Sequence[float | None]]) -> dict[str, Any]:
    """What rounds come to in which ours did so many statements a second, of every workload, and the peers so many."""

    def theirs(rate: float | None) -> dict[str, dict[str, float]]:
        return {name: {"rate": rate, "cpu": 20.0} for name in WORKLOADS} if rate else {}

    return {
        "rates": [dict.fromkeys(WORKLOADS, rate) for rate in ours],
        "cpu": [{name: {"processor": 10.0} for name in WORKLOADS} for _ in ours],
        "peers": {name: [theirs(rate) for rate in rates] for name, rates in peers.items()},
        "subjects": {OURS.name: {}},
        "latency": None,
        "scaling": None,
        "flatness": None,
    }


def of_peers(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [goal for goal in judged(found) if goal["goal"].startswith(tuple(f"{it}, of" for it in WORKLOADS))][-5:]


def test_a_peer_is_compared_within_each_round() -> None:
    """Of medians of different rounds it would be 100 / 20 = 5."""
    found = figures([300.0, 100.0, 90.0], {NEAREST: [100.0, 20.0, None]})
    compared = against(found, NEAREST, WORKLOADS[0])
    assert compared
    assert compared.rate == (3 + 5) / 2
    assert compared.by_cpu == 2


def test_each_workload_is_held_against_the_peer_that_comes_nearest() -> None:
    goals = of_peers(figures([100.0], {NEAREST: [40.0], **{name: [10.0] for name in OTHERS}}))
    assert [goal["goal"] for goal in goals] == [f"{name}, of {NEAREST}" for name in WORKLOADS]
    assert {(goal["found"], goal["holds"], goal["why"]) for goal in goals} == {(2.5, True, "")}


@pytest.mark.parametrize("missing", [list(PEERS), [NEAREST], OTHERS])
def test_while_a_peer_has_no_figure_nothing_holds_and_it_is_named(missing: Sequence[str]) -> None:
    goals = of_peers(figures([100.0], {name: [None if name in missing else 10.0] for name in PEERS}))
    assert len(goals) == len(WORKLOADS)
    assert {(goal["holds"], goal["why"]) for goal in goals} == {(False, f"no figure of {', '.join(missing)}")}


def test_what_was_not_measured_does_not_hold() -> None:
    found = figures([], {name: [] for name in PEERS})
    goals = judged(found)
    assert len(goals) == len(RATIOS) + 5 + len(WORKLOADS)
    assert not any(goal["holds"] for goal in goals)
    assert all(goal["why"] for goal in goals)


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> _Rounds:
    """A measurement in which ours does 1,000/s and everything besides stalls."""

    async def stalls(*_: object) -> dict[str, Any]:
        raise Stalled("it does not get on")

    async def saturates(subject: Subject, several: Sequence[Workload], *rest: Any) -> tuple[object, Outcome]:
        found: dict[str, Run] = rest[-1]
        found |= {it.name: a_run(1_000.0 if subject == OURS else 100.0) for it in several}
        return settings_for(SERVERS, "x"), Outcome(1, "another" if subject.name == NEAREST else "ours", 1)

    def no_floor(*_: object) -> None:
        raise FileNotFoundError("/proc/7/stat")

    for name in ("latencies", "scaling", "flatness"):
        monkeypatch.setattr(streaming, name, stalls)
    monkeypatch.setattr(streaming, "saturate", saturates)
    monkeypatch.setattr(streaming, "floor", no_floor)
    monkeypatch.setattr(streaming, "peers", lambda: [Subject(name, ["peer"]) for name in PEERS])
    return _Rounds(Options(rounds=2), SERVERS, CORES, tmp_path)


def test_a_peer_that_did_another_job_has_no_figures(rounds: _Rounds) -> None:
    found = rounds.measured()
    assert found["failed"][NEAREST].startswith("it did another job")
    assert set(found["subjects"]) == {OURS.name, *OTHERS}
    assert found["peers"][NEAREST] == [{}, {}]
    goals = of_peers(found)
    assert {(goal["found"], goal["holds"], goal["why"]) for goal in goals} == {(10.0, False, f"no figure of {NEAREST}")}


def test_what_stalls_is_told_and_all_else_is_found(rounds: _Rounds, capsys: pytest.CaptureFixture[str]) -> None:
    found = rounds.measured()
    assert [found[name] for name in ("latency", "returning", "scaling", "flatness")] == [None] * 4
    assert found["failed"]["scaling"] == "it does not get on"
    assert found["failed"]["a floor"] == "/proc/7/stat"
    assert found["subjects"][OURS.name].keys() == set(workloads(1))
    tell(found)
    assert "NO (not measured)" in capsys.readouterr().out


def test_where_ours_stalls_nothing_holds_against_peers(rounds: _Rounds, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stalls(*_: object) -> None:
        raise Stalled("it ended with status 70")

    monkeypatch.setattr(streaming, "saturate", stalls)
    found = rounds.measured()
    assert found["failed"][OURS.name] == "it ended with status 70"
    assert not any(goal["holds"] for goal in found["goals"])


def test_what_was_found_is_written_when_a_section_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fails() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(conditions, "main", fails)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["bench", "--only", "conditions"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError):
        whole.main()
    (written,) = tmp_path.glob("bench-results/*.json")
    assert orjson.loads(written.read_bytes())["arguments"]["only"] == "conditions"

"""Exit codes mean something, and are the same in the code, in the help and in OPERATING.md."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from processor import errors
from processor.cli import journeys
from processor.cli.main import app
from processor.errors import JourneyProgressError
from tests.unit.cli.command import Command, Done

OPERATING = Path(__file__).parents[3] / "deploy" / "OPERATING.md"
OTHERS = {0, 2, 130}
"""Done, wrong usage, interrupted: not errors of ours."""


def tree(root: type[JourneyProgressError]) -> Iterator[type[JourneyProgressError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


ERRORS = list(tree(JourneyProgressError))


def codes_in(text: str) -> set[int]:
    """The numbers of the sentence that begins with `Exit codes:`, each followed by its meaning."""
    [sentence] = re.findall(r"Exit codes: (.*?)\.(?:\s|$)", " ".join(text.split()))
    return {int(number) for number in re.findall(r"(?:^|[,·]) *(\d+) \w+", sentence)}


def test_the_page_names_every_code_and_no_other() -> None:
    assert codes_in(OPERATING.read_text(encoding="utf-8")) == OTHERS | {error.exit_code for error in ERRORS}


def test_the_help_names_every_code_and_no_other() -> None:
    assert codes_in(app.info.help or "") == OTHERS | {error.exit_code for error in ERRORS}


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)", errors.__doc__ or "")
    assert set(drawn) == {error.__name__ for error in ERRORS} - {"JourneyProgressError"}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_of_ours_is_one_sentence_on_stderr_and_its_code(
    journey_progress: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: type[JourneyProgressError]
) -> None:
    done = failing_with(journey_progress, monkeypatch, tmp_path, error("the fault; the mend"))
    assert done == (error.exit_code, "", "journey-progress: the fault; the mend\n")


def test_an_interrupt_is_130(journey_progress: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done = failing_with(journey_progress, monkeypatch, tmp_path, KeyboardInterrupt())
    assert done.status == 130
    assert "Traceback" not in done.err


def test_what_nobody_expected_is_70_with_its_traceback(
    journey_progress: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = failing_with(journey_progress, monkeypatch, tmp_path, ZeroDivisionError("a bug"))
    assert done.status == 70
    assert done.err.startswith("Traceback")
    assert done.err.endswith("ZeroDivisionError: a bug\n")


def failing_with(
    journey_progress: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException
) -> Done:
    """Run a command that meets an error."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(journeys, "journeys_in", fail)
    path = tmp_path / "journey.yaml"
    path.touch()
    return journey_progress("journeys", "check", str(path))


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("run", "--nonsense"),
        ("journeys", "check"),
        ("journeys", "check", "absent.yaml"),
        ("journeys", "check", "."),
        ("statements", "publish", "absent.jsonl"),
        ("statements", "publish", "."),
        ("dead-letters", "list", "--limit", "0"),
        ("progress", "show", "--limit", "many"),
        ("demo", "--learners", "0"),
        ("--env-file", "absent.env", "run"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_says_what_is_wrong(journey_progress: Command, arguments: tuple[str, ...]) -> None:
    done = journey_progress(*arguments)
    assert done.status == 2
    assert done.out == ""
    assert "Error" in done.err
    assert "Traceback" not in done.err


def test_a_client_of_no_organisation_is_wrong_usage(journey_progress: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEY_PROGRESS_KAFKA_BOOTSTRAP_SERVERS", "nowhere:9092")
    monkeypatch.setenv("JOURNEY_PROGRESS_MONGO_URL", "mongodb://nowhere")
    done = journey_progress("clients", "create", "a dashboard")
    assert done.status == 2
    assert "DEFAULT_ORGANISATION" in done.err


def test_no_place_for_what_several_processes_share_is_78(
    journey_progress: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JOURNEY_PROGRESS_KAFKA_BOOTSTRAP_SERVERS", "nowhere:9092")
    monkeypatch.setenv("JOURNEY_PROGRESS_MONGO_URL", "mongodb://nowhere")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    done = journey_progress("run", "--processes", "2")
    assert done.status == 78
    assert "set TMPDIR" in done.err
    assert "Traceback" not in done.err


def test_a_wrong_setting_of_an_env_file_is_78(journey_progress: Command, tmp_path: Path) -> None:
    path = tmp_path / "other.env"
    path.write_text("JOURNEY_PROGRESS_KAFKA_BOOTSTRAP_SERVERS=a:1\nJOURNEY_PROGRESS_MONGO_URL=localhost\n")
    done = journey_progress("--env-file", str(path), "status")
    assert done.status == 78
    assert "JOURNEY_PROGRESS_MONGO_URL must begin with mongodb://" in done.err


@pytest.mark.parametrize(
    "arguments",
    [("progress", "show", "ana"), ("progress", "show", "--journey", "ana"), ("progress", "show", "--organisation", "")],
    ids=" ".join,
)
def test_an_id_that_is_none_is_65(journey_progress: Command, arguments: tuple[str, ...]) -> None:
    done = journey_progress(*arguments)
    assert done.status == 65
    assert "is not an id of 24 hex digits" in done.err


def test_a_tenant_that_is_none_stops_publishing_before_every_record_is_a_dead_letter(
    journey_progress: Command, tmp_path: Path
) -> None:
    path = tmp_path / "statements.jsonl"
    path.touch()
    for option in ("--organisation", "--store"):
        done = journey_progress("statements", "publish", str(path), option, "us")
        assert done.status == 65
        assert option.removeprefix("--") in done.err

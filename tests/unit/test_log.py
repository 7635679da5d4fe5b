"""Logs as data: JSON when nobody watches, the libraries' too, on stderr, with what belongs together bound."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from aiokafka import errors as kafka

from processor import log
from processor.log import Seldom, configure_logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Logging is one per process: leave it as it was found."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    levels = {name: logging.getLogger(name).level for name in ("aiokafka", "pymongo", "uvicorn")}
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers = handlers
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


@pytest.mark.parametrize("form", ["json", "auto"])
def test_one_json_object_a_line_when_not_on_a_terminal(capsys: pytest.CaptureFixture[str], form: Any) -> None:
    configure_logs("info", form)
    structlog.get_logger("processor.services.ingest").info("batch ingested", span="statements-0[1..2]", records=2)
    [line] = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "batch ingested",
        "level": "info",
        "logger": "processor.services.ingest",
        "span": "statements-0[1..2]",
        "records": 2,
    }


def test_the_loop_is_bound_to_all_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    structlog.contextvars.bind_contextvars(loop="relay")
    structlog.get_logger("x").info("one")
    logging.getLogger("a.library").warning("two")
    assert [line["loop"] for line in lines(capsys)] == ["relay", "relay"]


def test_an_exception_is_one_line_with_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "json")
    try:
        int("the fault")
    except ValueError:
        structlog.get_logger("x").exception("promotion failed")
    [line] = lines(capsys)
    assert line["level"] == "error"
    assert "Traceback" in line["exception"]
    assert "'the fault'" in line["exception"]


def test_the_libraries_speak_in_the_same_form_and_no_lower_than_warning(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("debug", "json")
    logging.getLogger("aiokafka.consumer").info("fetched")
    logging.getLogger("pymongo.topology").debug("heartbeat")
    logging.getLogger("pymongo.topology").warning("slow %s", "server")
    [line] = lines(capsys)
    assert (line["event"], line["logger"]) == ("slow server", "pymongo.topology")


class Hands:
    """A clock that is moved by hand."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def with_a_clock(monkeypatch: pytest.MonkeyPatch) -> Hands:
    """Set up the logs with a clock of ours. Not as a fixture: pytest's own handlers come and go between those."""
    hands = Hands()
    monkeypatch.setattr(log, "Seldom", lambda: Seldom(hands))
    configure_logs("info", "json")
    return hands


LOST = kafka.KafkaConnectionError("nobody is there")
CONNECT = "Unable connect to node with id %s: %s"


def said(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line["event"] for line in lines(capsys)]


def test_what_aiokafka_repeats_is_said_now_and_then_with_how_often(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = with_a_clock(monkeypatch)
    library = logging.getLogger("aiokafka")  # of its client, whatever the file's name
    for tenth in range(400):
        clock.seconds = tenth / 10
        library.error(CONNECT, tenth % 3, LOST)
    lost = "KafkaConnectionError: nobody is there"
    assert said(capsys) == [
        f"Unable connect to node with id 0: {lost}",
        f"Unable connect to node with id 0: {lost} (and 149 like it since the last one)",
        f"Unable connect to node with id 0: {lost} (and 149 like it since the last one)",
    ]
    clock.seconds += 15  # the outage ended, and here is another one
    library.error(CONNECT, 1, LOST)
    assert said(capsys) == [f"Unable connect to node with id 1: {lost} (and 99 like it since the last one)"]


def test_what_is_not_the_same_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with_a_clock(monkeypatch)
    library = logging.getLogger("aiokafka.consumer.group_coordinator")
    for _time in range(2):
        library.error(CONNECT, 1, LOST)
        library.error(CONNECT, 1, kafka.SaslAuthenticationFailed("wrong password"))
        library.error("Unexpected error: %s", kafka.TopicAuthorizationFailedError)
        library.error("Unexpected error: %s", "GroupAuthorizationFailedError")
        library.error("Unexpected error: %s", "UnknownError")
        library.warning("Unexpected error: %s", "UnknownError")
        logging.getLogger("aiokafka.conn").error(CONNECT, 1, LOST)
    assert len(said(capsys)) == 7


def test_tracebacks_of_other_errors_are_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_clock(monkeypatch)
    for _time in range(2):
        for error in (LOST, ValueError("out of range")):
            logging.getLogger("aiokafka.consumer.fetcher").error("Unexpected error in the fetcher", exc_info=error)
    first, second = lines(capsys)
    assert "KafkaConnectionError" in first["exception"]
    assert "ValueError: out of range" in second["exception"]


def test_only_aiokafka_repeats_itself(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with_a_clock(monkeypatch)
    for _time in range(3):
        structlog.get_logger("processor.services.surroundings").warning("unavailable, trying again")
        logging.getLogger("pymongo.topology").warning("lost %s", "mongo")
        logging.getLogger("aiokafkaesque").warning("lost")
    assert len(said(capsys)) == 9


def test_the_level_is_the_least_that_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("warning", "json")
    structlog.get_logger("x").info("not this")
    structlog.get_logger("x").warning("this")
    assert [line["event"] for line in lines(capsys)] == ["this"]


def test_on_a_terminal_it_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", "console")
    structlog.get_logger("x").info("batch ingested", records=2)
    printed = capsys.readouterr().err
    assert "batch ingested" in printed
    assert not printed.startswith("{")


def test_setting_up_twice_says_nothing_twice(capsys: pytest.CaptureFixture[str]) -> None:
    for _time in range(2):
        configure_logs("info", "json")
    structlog.get_logger("x").info("once")
    assert len(lines(capsys)) == 1

"""Logs as data: JSON when nobody watches, the libraries' too, on stderr, with what belongs together bound."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from processor.log import configure_logs


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Logging is one per process: leave it as it was found."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    levels = {
        name: logging.getLogger(name).level for name in ("aiokafka", "aiokafka.conn", "aiokafka.client", "pymongo")
    }
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
    logging.getLogger("aiokafka.conn").error("retried: the loops say it once, with the backoff")
    logging.getLogger("aiokafka.client").error("retried: the loops say it once, with the backoff")
    logging.getLogger("pymongo.topology").warning("slow %s", "server")
    [line] = lines(capsys)
    assert (line["event"], line["logger"]) == ("slow server", "pymongo.topology")


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

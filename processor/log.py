"""Logs as data: JSON when nobody watches, readable on a terminal; one line per batch, never per statement."""

import logging
import math
import sys
import time
from collections.abc import Callable
from typing import Literal

import structlog

REPEAT_SECONDS = 15.0
"""How often aiokafka may say the same. In an outage it says it with each of its tries, some 90 lines a second."""


class Seldom(logging.Filter):
    """Lets through what aiokafka says for the first time, and what it says again once in `REPEAT_SECONDS`.

    The same is what has the same logger, level and template, and tells of the same kind of error: a refused login
    does not pass as one more lost connection. The line tells how many before it were left out. `seconds` is a steady
    clock.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        super().__init__("aiokafka")
        self._seconds = seconds
        self._said: dict[tuple[object, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether it is to be logged; add to its text what was left out."""
        if not super().filter(record):  # of another logger
            return True
        key = (record.name, record.levelno, str(record.msg), *_errors(record))
        now = self._seconds()
        said, left_out = self._said.get(key, (-math.inf, 0))
        if now - said < REPEAT_SECONDS:
            self._said[key] = said, left_out + 1
            return False
        self._said[key] = now, 0
        if left_out:
            record.msg = f"{record.msg} (and {left_out} like it since the last one)"
        return True


def _errors(record: logging.LogRecord) -> list[str]:
    """Return the kinds of error that a record tells of: by an error, its class, that one's name, or a traceback."""
    told = record.args if isinstance(record.args, tuple) else ()
    kinds = [it if isinstance(it, type) else type(it) for it in told]
    names = [it for it in told if isinstance(it, str) and it.endswith("Error")]
    raised = record.exc_info[0] if record.exc_info else None
    if raised:  # `log.exception` names it nowhere else
        kinds.append(raised)
    return [kind.__name__ for kind in kinds if issubclass(kind, BaseException)] + names


def configure_logs(level: str = "info", form: Literal["auto", "json", "console"] = "auto") -> None:
    """Send all logs of this process, the libraries' too, to stderr in one form. Called once, by the command line."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    is_terminal = sys.stderr.isatty() if form == "auto" else form == "console"
    rendering: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]  # rich's would show locals
        if is_terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    output = logging.StreamHandler(sys.stderr)
    output.addFilter(Seldom())
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers = [output]
    root.setLevel(level.upper())
    for noisy in ("aiokafka", "pymongo", "uvicorn"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))

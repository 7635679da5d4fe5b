"""The container files fit the settings and the code, whose defaults they rely on."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from processor.cli.processes import time_to_end
from processor.settings import PREFIX, Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
IMAGE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
README = (DEPLOY.parent / "README.md").read_text(encoding="utf-8")
COMPOSE = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")


@pytest.fixture
def processor() -> dict[str, Any]:
    """The service of compose.yaml."""
    service: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]["processor"]
    return service


def default(name: str) -> Any:
    return Settings.model_fields[name].default


def test_a_stop_has_the_time_it_may_take(processor: dict[str, Any]) -> None:
    """The children of `--processes` have theirs; with HTTP_API requests are given SHUTDOWN_DEADLINE after the loops."""
    longest = time_to_end(
        Settings(_env_file=None, kafka_bootstrap_servers="a:1", mongo_url="mongodb://a", http_api=True)
    )
    assert int(processor["stop_grace_period"].removesuffix("s")) >= longest
    assert (
        f"twice `SHUTDOWN_DEADLINE` + {longest - 2 * default('shutdown_deadline'):g} ({longest:g} by default)" in README
    )


def test_the_port_can_be_reached_from_outside() -> None:
    assert f"ENV {PREFIX}HTTP_HOST=0.0.0.0" in IMAGE
    assert f"EXPOSE {default('http_port')}" in IMAGE


def test_the_health_that_is_asked_for_is_at_the_port(processor: dict[str, Any]) -> None:
    program = processor["healthcheck"]["test"][-1]
    compile(program, "healthcheck", "exec")
    assert f"http://127.0.0.1:{default('http_port')}/health/live" in program


@pytest.mark.parametrize("text", [IMAGE, COMPOSE], ids=["Dockerfile", "compose.yaml"])
def test_what_is_set_is_a_setting(text: str) -> None:
    assert {name.lower() for name in re.findall(rf"{PREFIX}(\w+)", text)} <= set(Settings.model_fields)

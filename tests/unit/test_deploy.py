"""The container files fit the settings and the code, whose defaults they rely on."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from processor.app import LETTING_GO
from processor.cli.processes import time_to_end
from processor.probes import ANSWER_SECONDS
from processor.settings import PREFIX, Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
IMAGE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
OPERATING = (DEPLOY / "OPERATING.md").read_text(encoding="utf-8")
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
    given = processor["stop_grace_period"].removesuffix("s")
    assert int(given) > longest  # or the container ends in the second in which the parent kills who is late
    assert (
        f"`terminationGracePeriodSeconds: {given}`: more than twice `SHUTDOWN_DEADLINE` (once without `HTTP_API`) "
        f"+ {longest - 2 * default('shutdown_deadline'):g}." in OPERATING
    )
    assert f"up to {LETTING_GO:g} s more pass" in OPERATING


def test_the_port_can_be_reached_from_outside() -> None:
    assert f"ENV {PREFIX}HTTP_HOST=0.0.0.0" in IMAGE
    assert f"EXPOSE {default('http_port')}" in IMAGE


def test_each_replica_is_published_on_this_machine_alone(processor: dict[str, Any]) -> None:
    [published] = processor["ports"]
    address, ports, inside = published.rsplit(":", 2)
    first, last = map(int, ports.split("-"))
    assert address == "127.0.0.1"
    assert last - first + 1 == processor["deploy"]["replicas"]
    assert int(inside) == default("http_port")


def test_the_processor_may_do_no_more_than_it_needs(processor: dict[str, Any]) -> None:
    assert processor["read_only"]
    assert processor["tmpfs"] == ["/tmp"]
    assert processor["cap_drop"] == ["ALL"]
    assert processor["security_opt"] == ["no-new-privileges:true"]
    assert processor["init"]


def test_data_outlives_the_containers() -> None:
    stack = yaml.safe_load(COMPOSE)
    kept = {name: service["volumes"] for name, service in stack["services"].items() if "volumes" in service}
    logs = stack["services"]["kafka"]["environment"]["KAFKA_LOG_DIRS"]
    assert kept == {"kafka": [f"kafka:{logs}"], "mongo": ["mongo:/data/db"]}
    assert set(stack["volumes"]) == set(kept)


def test_the_image_is_built_of_nothing_that_is_not_locked() -> None:
    commands = re.findall(r"pip (?:install|wheel) .*?(?= &&| \\\n|\n)", IMAGE)
    assert len(commands) == 4
    for command in commands:
        held = "--require-hashes" in command or (
            "--no-deps" in command and re.search("--no-(index|build-iso)", command)
        )
        assert held, command
    build, dev = (
        set(re.findall(r"^\S+==\S+", (DEPLOY.parent / f"requirements-{name}.lock").read_text(), re.MULTILINE))
        for name in ("build", "dev")
    )
    assert any(pin.startswith("hatchling==") for pin in build)
    assert build <= dev


def test_the_health_that_is_asked_for_is_at_the_port(processor: dict[str, Any]) -> None:
    program = processor["healthcheck"]["test"][-1]
    compile(program, "healthcheck", "exec")
    assert f"http://127.0.0.1:{default('http_port')}/health/live" in program
    assert int(processor["healthcheck"]["timeout"].removesuffix("s")) > ANSWER_SECONDS
    assert f"what is wrong is said after {ANSWER_SECONDS:g} s at most" in OPERATING


@pytest.mark.parametrize("text", [IMAGE, COMPOSE], ids=["Dockerfile", "compose.yaml"])
def test_what_is_set_is_a_setting(text: str) -> None:
    assert {name.lower() for name in re.findall(rf"{PREFIX}(\w+)", text)} <= set(Settings.model_fields)

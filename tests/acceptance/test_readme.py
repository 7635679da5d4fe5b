"""What the README tells a newcomer to type does what it shows."""

import asyncio
import os
import re
import subprocess
from pathlib import Path
from shutil import which

import orjson
import pytest

from processor.settings import PREFIX, Settings
from tests.acceptance.commands import COMMAND, environment, ran, running
from tests.acceptance.serving import serving
from tests.acceptance.world import until_quiet

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks_under(heading: str) -> list[str]:
    """What is shown as code under a heading, in its order."""
    part = README.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```(?:sh|json)?\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)


BLOCKS = blocks_under("Run it for real")
EXPORTED = {"kafka_bootstrap_servers", "mongo_url", "default_organisation"}


def test_the_block_sets_what_a_start_needs() -> None:
    names = re.findall(rf"^export {PREFIX}(\w+)=", BLOCKS[0], re.MULTILINE)
    assert {name.lower() for name in names} == EXPORTED


async def test_a_newcomer_sees_the_progress_that_is_shown(settings: Settings, tmp_path: Path) -> None:
    first, shown, _ = BLOCKS
    commands = re.findall(r"^journey-progress ([a-z][^#\n]*?) *(?:#.*)?$", first, re.MULTILINE)
    assert len(commands) == 6
    *before, start, publish, show = commands
    assert start == "run &"
    for command in before:
        assert (await ran(settings, *command.split(), cwd=ROOT)).returncode == 0, command
    with running(settings, tmp_path / "run.log") as process:
        assert (await ran(settings, *publish.split(), cwd=ROOT)).stdout == "5 statements published\n"
        await until_quiet(settings)
        progress = (await ran(settings, *show.split())).stdout
        assert process.stop() == 0
    # Which of two documents was updated last is chance; the columns are tabs for who is no terminal.
    assert sorted(re.split(r"\t| {2,}", line) for line in progress.splitlines()) == sorted(
        re.split(r" {2,}", line) for line in shown.splitlines()
    )


def test_why_a_statement_counts_is_told(settings: Settings) -> None:
    told = subprocess.run(
        ["sh", "-c", BLOCKS[2]],
        cwd=ROOT,
        env={**environment(settings), "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "✓ statement.result.score.scaled $gte 0.6: found 0.9" in told.stdout


def test_the_journey_that_is_shown_is_the_example() -> None:
    [shown] = re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert (ROOT / "deploy" / "examples" / "onboarding.yaml").read_text(encoding="utf-8").endswith(shown)


@pytest.mark.skipif(not (which("curl") and which("jq")), reason="curl or jq is missing here")
async def test_what_is_asked_over_http_is_answered_so(settings: Settings, tmp_path: Path) -> None:
    commands, answers = blocks_under("Ask it over HTTP")
    await ran(settings, "topics", "create")
    await ran(settings, "journeys", "apply", "deploy/examples/onboarding.yaml", cwd=ROOT)
    await ran(settings, "statements", "publish", "deploy/examples/statements.jsonl", cwd=ROOT)
    create, _, asked = commands.split("\n", 2)
    made = await ran(settings, *create.partition("#")[0].split()[1:], "--json")
    client = orjson.loads(made.stdout)
    async with serving(settings, tmp_path / "run.log", "run") as http:
        await until_quiet(settings)
        done = await asyncio.to_thread(
            subprocess.run,
            ["sh", "-ec", asked],
            env={**os.environ, "CLIENT": f"{client['key']}:{client['secret']}", "API": str(http.base_url.join("/api"))},
            capture_output=True,
            text=True,
            check=True,
        )
    assert [orjson.loads(line) for line in done.stdout.replace("}{", "}\n{").splitlines()] == [
        orjson.loads(line) for line in answers.splitlines()
    ]

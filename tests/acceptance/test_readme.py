"""What the README tells a newcomer to type does what it shows."""

import os
import re
import subprocess
from pathlib import Path

from processor.settings import PREFIX, Settings
from tests.acceptance.commands import COMMAND, environment, ran, running
from tests.acceptance.world import until_quiet

ROOT = Path(__file__).parents[2]
PART = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Run it for real")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```(?:sh)?\n(.*?)^```$", PART, re.MULTILINE | re.DOTALL)
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
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"^```yaml\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert (ROOT / "deploy" / "examples" / "onboarding.yaml").read_text(encoding="utf-8").endswith(shown)

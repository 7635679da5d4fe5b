"""What `dead-letters` refuses before it asks any server."""

import pytest
from typer.testing import CliRunner

from processor.cli.main import app


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["replay"], "--all"),
        (["replay", "--all", "--reason", "empty"], "--all"),
        (["replay", "--reason", "unheard-of"], "unheard-of"),
        (["replay", "--all", "--rate", "0"], "--rate"),
        (["list", "--record", "somewhere"], "TOPIC-PARTITION"),
        (["list", "--since", "yesterday"], "--since"),
        (["show", "somewhere"], "TOPIC-PARTITION"),
    ],
)
def test_a_wrong_selection_is_a_wrong_usage(arguments: list[str], names: str) -> None:
    result = CliRunner().invoke(app, ["dead-letters", *arguments], env={"COLUMNS": "500"})
    assert result.exit_code == 2
    assert names in result.output

"""`python -m processor.settings_page` prints the page `deploy/SETTINGS.md`."""

import sys
from datetime import timedelta

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from processor.settings import PREFIX, Settings


def settings_page() -> str:
    """Return `deploy/SETTINGS.md`: every setting with its default and meaning, made from the model."""
    rows = [
        f"| `{PREFIX}{name.upper()}` | {_default(field)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "Environment variables, or lines of `.env` in the working directory, or of the file that",
            "`journey-progress --env-file FILE COMMAND` names. Other pages, the help and the log leave the prefix",
            f"`{PREFIX}` out. Made by `make docs`; do not edit.",
            "",
            "| setting | default | meaning |",
            "| --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if field.default is None:
        return "none"
    value = field.default
    return f"`{TypeAdapter(timedelta).dump_python(value, mode='json') if isinstance(value, timedelta) else value}`"


if __name__ == "__main__":
    sys.stdout.write(settings_page())

"""Variables that look like settings and are none: mostly misspelt ones, whose setting would keep its default unseen."""

from difflib import get_close_matches
from pathlib import Path

from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource


def unknown_settings(model: type[BaseSettings], env_file: Path) -> list[str]:
    """Return a sentence for each variable of the environment and `env_file` that has the prefix and is no setting.

    With the closest name, if one is close; never with a value. A file that can be read only once (a pipe) is left out.
    """
    prefix = model.model_config["env_prefix"]
    given = set(EnvSettingsSource(model).env_vars)
    if env_file.is_file():
        given |= set(DotEnvSettingsSource(model, env_file=env_file).env_vars)
    names = {name[len(prefix) :] for name in given if name.startswith(prefix.lower())}
    return [_told(prefix, name, list(model.model_fields)) for name in sorted(names - set(model.model_fields))]


def _told(prefix: str, name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    meant = f": did you mean {prefix}{close[0].upper()}?" if close else ""
    return f"{prefix}{name.upper()} is no setting, and ignored{meant}"

"""Variables that look like settings and are none: mostly misspelt ones, whose setting would keep its default unseen."""

import re
from difflib import get_close_matches
from pathlib import Path

from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource

_HOST = "service_host"
_OF_A_SERVICE = re.compile(r"service_(host|port).*|port(_\d+_[a-z]+.*)?")


def unknown_settings(model: type[BaseSettings], env_file: Path) -> list[str]:
    """Return a sentence for each variable of the environment and `env_file` that has the prefix and is no setting.

    With the closest name, if one is close; never with a value. A file that can be read only once (a pipe) is left out.
    """
    prefix = model.model_config["env_prefix"]
    given = set(EnvSettingsSource(model).env_vars)
    if env_file.is_file():
        given |= set(DotEnvSettingsSource(model, env_file=env_file).env_vars)
    names = {name[len(prefix) :] for name in given if name.startswith(prefix.lower())}
    unknown = names - set(model.model_fields) - _of_services(names)
    return [_told(prefix, name, list(model.model_fields)) for name in sorted(unknown)]


def _of_services(names: set[str]) -> set[str]:
    """Return what Kubernetes sets in each pod for its Services whose names begin with ours."""
    services = [name.removesuffix(_HOST) for name in names if name.endswith(_HOST)]
    return {
        name
        for name in names
        for service in services
        if name.startswith(service) and _OF_A_SERVICE.fullmatch(name, len(service))
    }


def _told(prefix: str, name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1)
    meant = f": did you mean {prefix}{close[0].upper()}?" if close else ""
    return f"{prefix}{name.upper()} is no setting, and ignored{meant}"

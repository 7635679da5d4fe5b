"""Settings: each wrong or missing one stops the start with its name and the mend; never with its value."""

import errno
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from processor.errors import InvalidSettings
from processor.settings import PREFIX, Settings, load_settings
from processor.settings_page import settings_page
from processor.unknown_settings import unknown_settings
from schemas.export import files as exported

ROOT = Path(__file__).parents[2]
NEEDED = {"KAFKA_BOOTSTRAP_SERVERS": "localhost:9092", "MONGO_URL": "mongodb://localhost:27017/?replicaSet=rs0"}
SECRET = "s3cr3t-that-nobody-may-read"
SASL = {"KAFKA_SASL_USERNAME": "ana", "KAFKA_SASL_PASSWORD": "of ana"}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty working directory, and none of the caller's settings."""
    monkeypatch.chdir(tmp_path)
    for name in [it for it in os.environ if it.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def loaded(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    for name, value in {**NEEDED, **values}.items():
        monkeypatch.setenv(f"{PREFIX}{name}", value)
    return load_settings()


def test_the_names_and_defaults_that_the_issue_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = loaded(monkeypatch)
    expected: dict[str, Any] = {
        "kafka_bootstrap_servers": "localhost:9092",
        "statements_topic": "xapi.statements",
        "progress_topic": "journey.progress-updated",
        "dead_letters_topic": "xapi.statements.dead-letters",
        "consumer_group": "journey-progress",
        "mongo_database": "learninglocker",
        "default_organisation": None,
        "default_store": None,
        "duration_unit": "microseconds",
        "surplus_limit": 100,
        "lateness_horizon": timedelta(days=30),
        "http_port": 9464,
    }
    assert {name: getattr(settings, name) for name in expected} == expected
    assert settings.mongo_url.get_secret_value() == NEEDED["MONGO_URL"]


def test_durations_are_iso_8601(monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded(monkeypatch, LATENESS_HORIZON="P1DT12H").lateness_horizon == timedelta(hours=36)


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_setting_is_named_with_its_meaning_and_an_example(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    other = next(iter(set(NEEDED) - {name}))
    monkeypatch.setenv(f"{PREFIX}{other}", NEEDED[other])
    with pytest.raises(InvalidSettings) as raised:
        load_settings()
    about = (Settings.model_fields[name.lower()].description or "").removesuffix(".")
    assert str(raised.value).startswith(f"{PREFIX}{name} is not set: {about}, e.g. {PREFIX}{name}=")


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(InvalidSettings, match=r"KAFKA_BOOTSTRAP_SERVERS is not set.*; .*MONGO_URL is not set"):
        load_settings()


@pytest.mark.parametrize(
    ("values", "mend"),
    [
        ({"KAFKA_BOOTSTRAP_SERVERS": ""}, "at least 1 character"),
        ({"MONGO_URL": SECRET}, "must begin with mongodb://"),
        ({"DURATION_UNIT": "hours"}, "'microseconds' or 'milliseconds'"),
        ({"SURPLUS_LIMIT": "-1"}, "greater than or equal to 0"),
        ({"SURPLUS_LIMIT": "many"}, "valid integer"),
        ({"LATENESS_HORIZON": "a month"}, "ISO 8601 duration"),
        ({"LATENESS_HORIZON": "PT0S"}, "greater than 0"),
        ({"DEFAULT_ORGANISATION": "us"}, "pattern"),
        ({"DEFAULT_STORE": ""}, "pattern"),
        ({"HTTP_TRUSTED_PROXIES": "127.0.0.1, *"}, "addresses or networks"),
        ({"HTTP_TRUSTED_PROXIES": "10.0.0.1/8"}, "addresses or networks"),
        ({"HTTP_TRUSTED_PROXIES": "proxy.example.org"}, "addresses or networks"),
        ({"HTTP_PORT": "70000"}, "less than or equal to 65535"),
        ({"LEASE": "0"}, "greater than 0"),
        ({"LEASE": "inf"}, "finite number"),
        ({"LEASE": "20"}, "longer than MONGO_TIMEOUT"),
        ({"REBALANCE_TIMEOUT": "10"}, "at least SESSION_TIMEOUT"),
        ({"MAX_POLL_INTERVAL": "10"}, "at least REBALANCE_TIMEOUT"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "'PLAINTEXT', 'SSL'"),
        ({"KAFKA_SASL_USERNAME": "ana", "KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "and KAFKA_SASL_PASSWORD are needed"),
        ({"KAFKA_SASL_USERNAME": "", "KAFKA_SASL_PASSWORD": "", "KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "are needed"),
        ({"KAFKA_TLS_CERTIFICATE_FILE": "a.pem"}, "and KAFKA_TLS_KEY_FILE belong together"),
        ({"KAFKA_SASL_USERNAME": "ana"}, "is PLAINTEXT, which does not use it: set one with SASL, as SASL_SSL, or"),
        ({"KAFKA_SASL_PASSWORD": SECRET, "KAFKA_SECURITY_PROTOCOL": "SSL"}, "is SSL, which does not use it"),
        ({"KAFKA_TLS_CA_FILE": "a.pem"}, "is PLAINTEXT, which does not use it: set one with SSL, as SASL_SSL, or"),
        ({"KAFKA_TLS_CERTIFICATE_FILE": "a.pem", "KAFKA_TLS_KEY_FILE": "b.pem"}, "is PLAINTEXT"),
        ({"KAFKA_TLS_KEY_PASSWORD": SECRET}, "is PLAINTEXT"),
        ({"KAFKA_TLS_CA_FILE": "a.pem", **SASL, "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}, "is SASL_PLAINTEXT"),
        ({"DEAD_LETTERS_TOPIC": "xapi.statements"}, "must differ"),
        ({"TOPIC_REPLICATION": "-2"}, "greater than or equal to -1"),
        ({"LOG_LEVEL": "loud"}, "'debug', 'info', 'warning' or 'error'"),
        ({"CREATE_TOPICS": "perhaps"}, "valid boolean"),
    ],
    ids=lambda it: "-".join(it) if isinstance(it, dict) else it,
)
def test_a_wrong_setting_is_named_with_the_mend(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], mend: str
) -> None:
    with pytest.raises(InvalidSettings) as raised:
        loaded(monkeypatch, **values)
    message = str(raised.value)
    assert message.startswith(f"{PREFIX}{next(iter(values))} ")
    assert mend in message
    assert "\n" not in message
    assert SECRET not in message


@pytest.mark.parametrize(
    "values",
    [
        {**SASL, "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"},
        {**SASL, "KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_TLS_CA_FILE": "a.pem"},
        {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_TLS_CA_FILE": "a.pem", "KAFKA_SASL_USERNAME": ""},
        {"KAFKA_SASL_USERNAME": "", "KAFKA_SASL_PASSWORD": "", "KAFKA_TLS_CA_FILE": "", "KAFKA_TLS_KEY_PASSWORD": ""},
        {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_TLS_CERTIFICATE_FILE": "", "KAFKA_TLS_KEY_FILE": ""},
    ],
)
def test_credentials_and_certificates_that_are_used_or_empty_are_no_fault(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str]
) -> None:
    settings = loaded(monkeypatch, **values)
    assert all(getattr(settings, name.lower()) is None for name, value in values.items() if not value)


@pytest.mark.parametrize("name", ["MONGO_URL", "KAFKA_SASL_PASSWORD", "KAFKA_TLS_KEY_PASSWORD"])
def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    url = f"mongodb://ana:{SECRET}@localhost/" if name == "MONGO_URL" else SECRET
    settings = loaded(monkeypatch, **{**SASL, "KAFKA_SECURITY_PROTOCOL": "SASL_SSL", name: url})
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump_json()}"
    with pytest.raises(InvalidSettings) as raised:
        loaded(monkeypatch, **{name: url, "LEASE": "0", "HTTP_PORT": "x"})
    assert SECRET not in str(raised.value)


def test_two_faults_are_told_in_one_sentence_each(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSettings, match=f"{PREFIX}LEASE is wrong.*; {PREFIX}HTTP_PORT is wrong"):
        loaded(monkeypatch, LEASE="0", HTTP_PORT="x")


def test_an_env_file_is_honoured_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = {**NEEDED, "CONSUMER_GROUP": "from-file", "CLIENT_ID": "from-file", "UNKNOWN": "ignored"}
    (tmp_path / ".env").write_text("".join(f"{PREFIX}{name}={value}\n" for name, value in lines.items()))
    monkeypatch.setenv(f"{PREFIX}CONSUMER_GROUP", "from-environment")
    settings = load_settings()
    assert (settings.consumer_group, settings.client_id) == ("from-environment", "from-file")


def test_another_env_file_takes_the_place_of_the_first(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{PREFIX}CLIENT_ID=first\n")
    other = tmp_path / "other.env"
    other.write_text("".join(f"{PREFIX}{name}={value}\n" for name, value in NEEDED.items()))
    assert load_settings(other).client_id == "journey-progress"


def test_a_name_that_is_no_setting_is_told_with_the_closest_that_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env_file = tmp_path / "other.env"
    env_file.write_text(f"{PREFIX}MONGO_URI={SECRET}\nNOT_OURS=x\n{PREFIX}LEASE=60\n")
    monkeypatch.setenv(f"{PREFIX}KAFKA_SECURITY_PROTOCOLL", SECRET)
    monkeypatch.setenv(f"{PREFIX}XYZZY", SECRET)
    told = [
        f"{PREFIX}KAFKA_SECURITY_PROTOCOLL is no setting, and ignored: did you mean {PREFIX}KAFKA_SECURITY_PROTOCOL?",
        f"{PREFIX}MONGO_URI is no setting, and ignored: did you mean {PREFIX}MONGO_URL?",
        f"{PREFIX}XYZZY is no setting, and ignored",
    ]
    assert unknown_settings(Settings, env_file) == told
    with pytest.raises(InvalidSettings, match=r"MONGO_URL is not set.*; .*MONGO_URI is no setting") as raised:
        load_settings(env_file)
    assert SECRET not in str(raised.value)


SERVICE = ["_SERVICE_HOST", "_SERVICE_PORT", "_SERVICE_PORT_METRICS", "_PORT", "_PORT_9464_TCP", "_PORT_9464_TCP_ADDR"]


@pytest.mark.parametrize("service", ["JOURNEY_PROGRESS", "JOURNEY_PROGRESS_METRICS"])
def test_what_kubernetes_sets_for_a_service_is_not_told_of(
    service: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for ending in SERVICE:
        monkeypatch.setenv(f"{service}{ending}", "10.0.0.1")
    monkeypatch.setenv(f"{service}_HTP_PORT", "1")
    assert [it.split()[0] for it in unknown_settings(Settings, tmp_path / ".env")] == [f"{service}_HTP_PORT"]


def test_a_port_without_a_service_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(f"{PREFIX}PORT", "8080")
    assert [it.split()[0] for it in unknown_settings(Settings, tmp_path / ".env")] == [f"{PREFIX}PORT"]


def test_an_env_file_that_is_a_pipe_is_read_once(tmp_path: Path) -> None:
    """As in `--env-file <(…)`."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert unknown_settings(Settings, pipe) == []


def test_an_env_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidSettings, match=r"\.env.*UTF-8"):
        load_settings()


def test_an_env_file_that_may_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").touch()

    def refuse(*_: object, **__: object) -> None:  # the tests may run as root, who may read all
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), ".env")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InvalidSettings, match=r"^\.env cannot be read \(Permission denied\): .*--env-file$"):
        load_settings()


def test_the_page_is_made_from_the_model() -> None:
    """`make docs` writes it."""
    assert (ROOT / "deploy" / "SETTINGS.md").read_text(encoding="utf-8") == settings_page()


def test_the_page_has_every_setting_with_its_default_and_meaning() -> None:
    page = settings_page()
    for name, field in Settings.model_fields.items():
        assert f"| `{PREFIX}{name.upper()}` |" in page
        assert field.description
        assert f" {field.description} |" in page
    assert f"| `{PREFIX}LATENESS_HORIZON` | `P30D` |" in page
    assert f"| `{PREFIX}MONGO_URL` | **required** |" in page


def test_what_users_read_names_no_page_that_they_do_not_have() -> None:
    for text in (settings_page(), *exported().values()):
        assert all((ROOT / page).exists() for page in re.findall(r"[\w./-]+\.md", text))

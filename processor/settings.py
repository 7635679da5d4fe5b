"""Every setting of the processor: environment variables with prefix `JOURNEY_PROGRESS_`, or an `.env` file."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from processor.errors import InvalidSettings
from processor.settings_together import OF_SASL, OF_TLS, faults_of
from processor.unknown_settings import unknown_settings

PREFIX = "JOURNEY_PROGRESS_"

ObjectIdText = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{24}$")]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """The settings, validated as a whole; `load_settings` turns a fault into one clear sentence."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        validate_default=True,
    )

    # Kafka
    kafka_bootstrap_servers: str = Field(
        description="Kafka brokers to start from, `host:port` separated by commas.",
        min_length=1,
        examples=["localhost:9092"],
    )
    statements_topic: str = Field("xapi.statements", description="Topic that statements are read from.", min_length=1)
    progress_topic: str = Field(
        "journey.progress-updated", description="Topic that progress-updated events go to.", min_length=1
    )
    dead_letters_topic: str = Field(
        "xapi.statements.dead-letters", description="Topic that unusable records are parked in.", min_length=1
    )
    consumer_group: str = Field("journey-progress", description="Consumer group of the ingesters.", min_length=1)
    client_id: str = Field("journey-progress", description="Client id shown to Kafka and MongoDB.", min_length=1)
    group_instance_id: str | None = Field(
        None,
        description="Static group membership: a name of this very process that survives its restarts. Partitions that "
        "are added just while the group's leader restarts are read from the next rebalance on.",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to the brokers."
    )
    kafka_tls_ca_file: Path | None = Field(None, description="CA certificates (PEM) that sign the brokers' ones.")
    kafka_tls_certificate_file: Path | None = Field(None, description="Client certificate (PEM), for mutual TLS.")
    kafka_tls_key_file: Path | None = Field(None, description="Private key (PEM) of the client certificate.")
    kafka_tls_key_password: SecretStr | None = Field(None, description="Password of the private key.")
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="SASL mechanism, with a SASL security protocol."
    )
    kafka_sasl_username: str | None = Field(None, description="SASL user name.")
    kafka_sasl_password: SecretStr | None = Field(None, description="SASL password.")
    kafka_compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        "zstd",
        description="Compression of what is produced; `lz4` where brokers or consumers are older than Kafka 2.1.",
    )
    kafka_max_message_bytes: Count = Field(
        10_485_760, description="Largest record that is fetched or produced, in bytes."
    )
    session_timeout: Seconds = Field(30.0, description="Seconds without a heartbeat after which a member is out.")
    rebalance_timeout: Seconds = Field(
        60.0, description="Seconds the group waits in a rebalance for a member to finish its batch."
    )
    max_poll_interval: Seconds = Field(
        450.0,
        description="Seconds between two polls after which a member leaves the group by itself; "
        "longer than the slowest batch.",
    )
    auto_offset_reset: Literal["earliest", "latest"] = Field(
        "earliest",
        description="Where a group that has committed nothing starts; from then on, whatever it has not read is read.",
    )
    create_topics: bool = Field(False, description="Create missing topics at the start of `run` and its parts.")
    topic_partitions: Count = Field(6, description="Partitions of a topic that `topics create` makes.")
    topic_replication: int = Field(
        -1, ge=-1, description="Replicas of a topic that `topics create` makes; -1: the broker's."
    )

    # MongoDB
    mongo_url: SecretStr = Field(
        description="MongoDB connection string of a replica set or a sharded cluster.",
        examples=["mongodb://localhost:27017/?replicaSet=rs0"],
    )
    mongo_database: str = Field("learninglocker", description="Database of the collections.", min_length=1)
    mongo_timeout: Seconds = Field(20.0, description="Seconds after which an operation on MongoDB counts as failed.")

    # Tenants of bare statements
    default_organisation: ObjectIdText | None = Field(
        None,
        description="Organisation of bare statements whose record has no `organisation` header, and of journeys in "
        "files and HTTP clients for which none is given.",
    )
    default_store: ObjectIdText | None = Field(
        None, description="Store (`lrs_id`) of bare statements whose record has no `lrs_id` header."
    )

    # Meaning
    duration_unit: Literal["microseconds", "milliseconds"] = Field(
        "microseconds", description="Unit of `duration`: the seed's table says the one, its example shows the other."
    )
    surplus_limit: Annotated[int, Field(ge=0)] = Field(
        100, description="Evidence kept per waypoint that is not usable yet; what is beyond is cut (README, F1)."
    )
    document_bytes: Annotated[int, Field(ge=1_024, le=4_194_304)] = Field(
        65_536,
        description="Completed attempts of a progress document beyond about so many bytes move to collection "
        "`journeyprogressattempts`, the oldest first; the interfaces join them.",
    )
    lateness_horizon: timedelta = Field(
        timedelta(days=30),
        gt=timedelta(0),
        description="ISO 8601 duration: an attempt completed longer than this before the newest evidence is sealed.",
    )
    lowercase_actors: bool = Field(False, description="Fold the case of mbox, openid and account in identities.")
    count_group_members: bool = Field(False, description="Count an anonymous Group's statement for each member.")

    # The loops
    batch_records: Count = Field(4_000, description="Most records in one batch of ingest.")
    poll_timeout: Seconds = Field(0.5, description="Seconds that ingest waits for records before it looks around.")
    rejection_budget: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="Share of the last REJECTION_WINDOW records above which ingest stops (exit code 65) rather than "
        "park them all, e.g. 0.5; 0: never.",
    )
    rejection_window: Count = Field(
        1_000, description="Records, by process, that REJECTION_BUDGET is judged over, at least: by whole batches."
    )
    promote_batch: Count = Field(500, description="Most documents claimed under one lockKey.")
    relay_batch: Count = Field(500, description="Most documents whose events one relay claims at once.")
    lease: Annotated[Seconds, Field(le=86_400)] = Field(
        60.0, description="Seconds a claim lasts; longer than the slowest batch, or work is repeated (never doubled)."
    )
    backlog_poll: Seconds = Field(15.0, description="Seconds between two counts of what waits and of the lag.")
    idle_pause: Seconds = Field(
        0.25, description="Seconds that a promoter or relay rests that has found less than a batch, unless it is woken."
    )
    journeys_poll: Seconds = Field(
        10.0,
        description="Seconds between two looks at the journeys where MongoDB does not tell that they were written.",
    )
    recalculate_from: Literal["statements", "topic"] = Field(
        "statements",
        description="What a recalculation reads again: collection `statements` (bare statements stand there only once "
        "they matched something), or STATEMENTS_TOPIC from its start.",
    )
    recalculate_rate: Annotated[float, Field(gt=0)] = Field(
        10_000.0, description="Statements that a recalculation looks at in a second, at most."
    )
    outage_backoff: Seconds = Field(15.0, description="Longest pause, in seconds, between two tries in an outage.")
    shutdown_deadline: Seconds = Field(25.0, description="Seconds that SIGTERM gives the loops to finish.")

    # Seen from outside
    http_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        9464,
        description="Port of `/metrics` and `/health` (`run` and its parts), and of what `serve` serves; 0: none.",
    )
    http_host: str = Field("127.0.0.1", description="Address that `http_port` listens on; `0.0.0.0` in a container.")
    http_api: bool = Field(
        False, description="Serve the HTTP interfaces beside `/metrics` and `/health`, too (needs the extra `http`)."
    )
    http_page_limit: Count = Field(1_000, description="Most documents of one page or list.")
    http_query_timeout: Seconds = Field(10.0, description="Seconds after which a query of a caller is cut off (503).")
    http_rate_limit: Annotated[int, Field(ge=0)] = Field(
        6_000, description="Most requests of a client in a minute, in each process; 0: no limit."
    )
    http_body_limit: Count = Field(1_048_576, description="Longest body of a request, in bytes.")
    http_cors_origins: str = Field(
        "", description="Origins, separated by commas, that browsers may call the interfaces from; none by default."
    )
    http_trusted_proxies: str = Field(
        "127.0.0.1,::1",
        description="Addresses or networks, separated by commas, whose `X-Forwarded-For` tells who calls; failed "
        "logins are limited by that.",
        examples=["10.0.0.0/8"],
    )
    liveness_deadline: Seconds = Field(
        480.0, description="Seconds without progress after which `/health/live` fails: longer than the slowest batch."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["auto", "json", "console"] = Field("auto", description="`auto`: JSON when not on a terminal.")

    @field_validator(*OF_SASL, *OF_TLS, mode="before")
    @classmethod
    def _none_if_empty(cls, value: Any) -> Any:
        """Take an empty one as not given: so the environment takes back what stands in `.env`."""
        return None if value == "" else value

    @model_validator(mode="after")
    def _fit_together(self) -> "Settings":
        for fault in faults_of(self):
            raise ValueError(f"{PREFIX}{fault}")
        return self


def load_settings(env_file: Path | None = None, **fixed: Any) -> Settings:
    """Read the settings from the environment and `env_file` (default `.env`, which may be absent).

    `fixed` settings are not read: a command that asks no server need not be told of any.

    Raises `InvalidSettings` with a sentence per wrong, missing or unknown setting: its name, the fault and the mend;
    never its value, as it may be a secret. What is only unknown is for the caller to tell (`unknown_settings`).
    """
    try:
        return Settings(_env_file=env_file or ".env", **fixed)
    except ValidationError as error:
        strange = unknown_settings(Settings, env_file or Path(".env"))
        raise InvalidSettings("; ".join([*map(_fault, error.errors()), *strange])) from None
    except UnicodeDecodeError as error:
        raise InvalidSettings(f"{env_file or '.env'} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise InvalidSettings(
            f"{env_file or '.env'} cannot be read ({error.strerror}): make it readable, or name another by --env-file"
        ) from None


def _fault(error: object) -> str:
    assert isinstance(error, dict)
    if not error["loc"]:
        return str(error["msg"]).removeprefix("Value error, ")
    field = str(error["loc"][0])
    name = f"{PREFIX}{field.upper()}"
    about = Settings.model_fields[field]
    if error["type"] == "missing":
        example = f", e.g. {name}={about.examples[0]}" if about.examples else ""
        return f"{name} is not set: {str(about.description).rstrip('.')}{example}"
    return f"{name} is wrong: {error['msg']}. {about.description}"

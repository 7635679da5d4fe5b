"""What is wrong with settings together: each by itself may be right (`settings.py`)."""

from collections.abc import Iterator
from ipaddress import ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processor.settings import Settings

SLOWEST_WRITES = 17
"""Answers of MongoDB that a batch of ingest may wait for, one after the other: the missing documents, kept statements,
those at rest, their promotions, which of these landed, evidence (twice where two insert at once), first promotions,
evidence for who was first (twice), a changed journey's documents (twice), and five of these for what came in pieces."""

OF_SASL = ("kafka_sasl_username", "kafka_sasl_password")
OF_TLS = ("kafka_tls_ca_file", "kafka_tls_certificate_file", "kafka_tls_key_file", "kafka_tls_key_password")


def faults_of(settings: "Settings") -> Iterator[str]:
    """Yield a sentence for each fault: the name of a setting without its prefix, and how to mend it."""
    yield from _addresses(settings)
    yield from _times(settings)
    yield from _security(settings)
    if len({settings.statements_topic, settings.progress_topic, settings.dead_letters_topic}) < 3:
        yield (
            "DEAD_LETTERS_TOPIC must differ from STATEMENTS_TOPIC, and both from PROGRESS_TOPIC, or the processor "
            "would eat its own output"
        )


def _addresses(settings: "Settings") -> Iterator[str]:
    if not all(map(_is_address, settings.kafka_bootstrap_servers.split(","))):
        yield "KAFKA_BOOTSTRAP_SERVERS must be host:port, several separated by commas"
    if not settings.mongo_url.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
        yield "MONGO_URL must begin with mongodb:// or mongodb+srv://"
    # Uvicorn takes anything else, too: a `*`, by which every caller chooses its address, or a name that never matches.
    if not all(map(_is_network, listed(settings.http_trusted_proxies))):
        yield "HTTP_TRUSTED_PROXIES must be addresses or networks (10.0.0.0/8), several separated by commas"


def listed(value: str) -> list[str]:
    """Return what stands between the commas of a setting."""
    return [part for it in value.split(",") if (part := it.strip())]


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    host, _, port = text.strip().rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and 0 < int(port) <= 65535


def _times(settings: "Settings") -> Iterator[str]:
    if settings.rebalance_timeout < settings.session_timeout:
        yield "REBALANCE_TIMEOUT must be at least SESSION_TIMEOUT"
    if settings.max_poll_interval < settings.rebalance_timeout:
        yield "MAX_POLL_INTERVAL must be at least REBALANCE_TIMEOUT"
    yield from _deadlines(settings)
    if settings.poll_timeout >= settings.session_timeout:
        yield "POLL_TIMEOUT must be shorter than SESSION_TIMEOUT: lower it, 0.5 seconds do"
    if settings.lease <= settings.mongo_timeout:
        yield "LEASE must be longer than MONGO_TIMEOUT, or slow writes are fenced"


def _deadlines(settings: "Settings") -> Iterator[str]:
    """Hold to the slowest batch what may end it: it would come again, and be ended again, without end.

    A member leaves the group at the end of the one, the process is killed for its liveness at that of the other.
    """
    writes = SLOWEST_WRITES * settings.mongo_timeout
    longest = writes + settings.lease / 2 + settings.session_timeout + settings.outage_backoff
    mend = (
        f"must be longer than {SLOWEST_WRITES} MONGO_TIMEOUT + LEASE / 2 + SESSION_TIMEOUT + OUTAGE_BACKOFF, as a "
        f"batch may take (here {longest:g} seconds), or it comes again without end: raise it, or lower one of these"
    )
    limits = {"MAX_POLL_INTERVAL": settings.max_poll_interval, "LIVENESS_DEADLINE": settings.liveness_deadline}
    yield from (f"{name} {mend}" for name, limit in limits.items() if limit <= longest)
    if settings.liveness_deadline <= max(settings.backlog_poll, settings.journeys_poll, settings.idle_pause):
        yield (
            "LIVENESS_DEADLINE must be longer than BACKLOG_POLL, JOURNEYS_POLL and IDLE_PAUSE, or a loop that rests "
            "seems stuck"
        )


def _security(settings: "Settings") -> Iterator[str]:
    """What KAFKA_SECURITY_PROTOCOL needs, and what it leaves unused: who gives that wants nothing to go in clear."""
    protocol = settings.kafka_security_protocol
    if protocol.startswith("SASL") and (settings.kafka_sasl_username is None or settings.kafka_sasl_password is None):
        yield "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD are needed with a SASL KAFKA_SECURITY_PROTOCOL"
    if (settings.kafka_tls_certificate_file is None) != (settings.kafka_tls_key_file is None):
        yield "KAFKA_TLS_CERTIFICATE_FILE and KAFKA_TLS_KEY_FILE belong together"
    for part, names in (("SASL", OF_SASL), ("SSL", OF_TLS)):
        for name in names:
            if part not in protocol and getattr(settings, name) is not None:
                yield (
                    f"{name.upper()} is given, but KAFKA_SECURITY_PROTOCOL is {protocol}, which does not use it: "
                    f"set one with {part}, as SASL_SSL, or leave it empty"
                )

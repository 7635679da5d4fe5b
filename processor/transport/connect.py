"""How to reach Kafka, and what its errors mean."""

import asyncio
import ssl
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from aiokafka import errors as kafka

from processor.errors import BrokerUnavailable, InvalidSettings, Misfit
from processor.settings import PREFIX, Settings

REQUEST_TIMEOUT = 15.0
"""Seconds after which a request that Kafka did not answer counts as failed."""

STOP_TIMEOUT = 5.0
"""Seconds that a client is given to disconnect in an orderly way."""

REFUSALS = (
    kafka.AuthenticationFailedError,
    kafka.SaslAuthenticationFailed,
    kafka.UnsupportedSaslMechanismError,
    kafka.IllegalSaslStateError,
    kafka.TopicAuthorizationFailedError,
    kafka.GroupAuthorizationFailedError,
    kafka.ClusterAuthorizationFailedError,
    kafka.UnsupportedVersionError,
    kafka.IncompatibleBrokerVersion,
)


def connection(settings: Settings) -> dict[str, Any]:
    """Return the arguments that every aiokafka client shares. Raises `InvalidSettings` on unusable TLS files."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "client_id": settings.client_id,
        "request_timeout_ms": int(REQUEST_TIMEOUT * 1000),
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol in ("SSL", "SASL_SSL"):
        arguments["ssl_context"] = _tls(settings)
    if settings.kafka_security_protocol.startswith("SASL"):
        assert settings.kafka_sasl_password is not None
        arguments["sasl_mechanism"] = settings.kafka_sasl_mechanism
        arguments["sasl_plain_username"] = settings.kafka_sasl_username
        arguments["sasl_plain_password"] = settings.kafka_sasl_password.get_secret_value()
    return arguments


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.kafka_tls_ca_file)
        if settings.kafka_tls_certificate_file and settings.kafka_tls_key_file:
            password = settings.kafka_tls_key_password
            context.load_cert_chain(
                settings.kafka_tls_certificate_file,
                settings.kafka_tls_key_file,
                password.get_secret_value() if password else None,
            )
    except (OSError, ssl.SSLError) as error:
        raise InvalidSettings(
            f"{PREFIX}KAFKA_TLS_CA_FILE, _CERTIFICATE_FILE or _KEY_FILE cannot be used ({error}): give PEM files"
        ) from None
    return context


# Not retriable by aiokafka's book, but mended by waiting and, for a producer, by a new one.
_PASSING = (
    kafka.KafkaConnectionError,
    kafka.KafkaTimeoutError,
    kafka.KafkaUnavailableError,
    kafka.BrokerNotAvailableError,
    kafka.ReplicaNotAvailableError,
    kafka.UnknownError,
    kafka.CorruptRecordException,
    kafka.ProducerClosed,
    kafka.OutOfOrderSequenceNumber,
    kafka.UnknownProducerId,
    kafka.InvalidProducerEpoch,
    kafka.ProducerFenced,
)

# What the operator has to mend.
_MENDS: dict[type[kafka.KafkaError], str] = {
    kafka.InvalidSessionTimeoutError: (
        f"set {PREFIX}SESSION_TIMEOUT between the broker's group.min.session.timeout.ms and "
        "group.max.session.timeout.ms"
    ),
    kafka.InconsistentGroupProtocolError: (
        f"others share {PREFIX}CONSUMER_GROUP with us who divide partitions in another way: give this processor a "
        "group of its own"
    ),
    kafka.InvalidGroupIdError: f"set {PREFIX}CONSUMER_GROUP to a name that the broker takes",
    kafka.InvalidTimestampError: (
        "set this machine's clock and the broker's right, or the topic's message.timestamp.before.max.ms and "
        "message.timestamp.after.max.ms higher"
    ),
}


@contextmanager
def translated() -> Iterator[None]:
    """Turn aiokafka's errors into ours: what waiting can mend is `BrokerUnavailable`, what the operator is `Misfit`.

    Whether a produce that ended in `BrokerUnavailable` was done is unknown. All other errors go on as they are.
    """
    try:
        yield
    except REFUSALS as error:
        raise refused(error) from None
    except tuple(_MENDS) as error:
        raise Misfit(f"Kafka: {error}; {_MENDS[type(error)]}") from None
    except kafka.KafkaError as error:
        if is_passing(error):
            raise BrokerUnavailable(f"Kafka: {error}"[:300]) from error
        raise
    except TimeoutError as error:
        raise BrokerUnavailable("Kafka: no answer in time") from error
    except OSError as error:
        raise BrokerUnavailable(f"Kafka: {error!r}"[:300]) from error


def refused(error: kafka.KafkaError) -> Misfit:
    """Say what to look at when Kafka refuses us."""
    if isinstance(error, kafka.AuthenticationFailedError | kafka.SaslAuthenticationFailed):
        return Misfit(
            f"Kafka does not take our credentials: {error}; check {PREFIX}KAFKA_SASL_USERNAME, "
            f"{PREFIX}KAFKA_SASL_PASSWORD and {PREFIX}KAFKA_SASL_MECHANISM"
        )
    return Misfit(
        f"Kafka refuses us: {error}; check {PREFIX}KAFKA_SECURITY_PROTOCOL, SASL and TLS settings, and the ACLs "
        "(describe on all three topics; by part, read on the statements topic and group, write on the progress or "
        "dead-letter topic)"
    )


def is_passing(error: kafka.KafkaError) -> bool:
    """Tell whether waiting can mend it. A bare `KafkaError` is what aiokafka makes of an answer it did not expect."""
    return error.retriable or isinstance(error, _PASSING) or type(error) is kafka.KafkaError


async def stop_within(stopping: Coroutine[Any, Any, None], name: str, seconds: float = STOP_TIMEOUT) -> None:
    """Let a client disconnect, but not for longer than `seconds`: in an outage aiokafka would go on trying.

    It runs as a task of its own, because aiokafka 0.14 mixes its tasks' cancellation up with ours: in an outage `stop`
    lets that of its own tasks out, which we would take for ours, and `close` swallows ours when it comes just then.
    Whoever is cancelled meanwhile ends when the client has disconnected, or `seconds` after.
    """
    task = asyncio.create_task(stopping)
    try:
        await asyncio.wait([task], timeout=seconds)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=seconds)
        raise
    finally:
        if late := not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=STOP_TIMEOUT)
        (outcome,) = await asyncio.gather(task, return_exceptions=True) if task.done() else (TimeoutError(),)
        if late or outcome:
            structlog.get_logger(__name__).warning("not stopped cleanly", client=name, error=repr(outcome))

"""Why Kafka cannot be reached, when waiting does not mend it.

aiokafka 0.14 logs what goes wrong while it bootstraps, and raises the same error for a broker that is away, a wrong
password and a wrong port. So after a bootstrap that failed each address is asked once more.
"""

import ssl

from aiokafka import errors as kafka
from aiokafka.conn import collect_hosts, create_conn

from processor.errors import Misfit
from processor.settings import PREFIX, Settings
from processor.tls import speaks_tls
from processor.transport.connect import REFUSALS, connection, refused


async def check_reachable(settings: Settings) -> None:
    """Raise `Misfit` for refused credentials, a TLS handshake that fails, or TLS on one side only.

    Returns when an address can be used, or when nobody answers: then waiting may help.
    """
    faults = []
    for host, port, _ in collect_hosts(settings.kafka_bootstrap_servers):
        try:
            await _greet(settings, host, port)
        except REFUSALS as error:
            raise refused(error) from None
        except (kafka.KafkaError, OSError, TimeoutError) as error:
            if fault := await _tls_fault(settings, host, port, error):
                faults.append(fault)
        else:
            return
    if faults:
        raise Misfit(
            f"Kafka: {'; '.join(faults)}; check the port, {PREFIX}KAFKA_SECURITY_PROTOCOL and {PREFIX}KAFKA_TLS_CA_FILE"
        )


async def _greet(settings: Settings, host: str, port: int) -> None:
    """Connect and authenticate, as aiokafka does to bootstrap."""
    arguments = connection(settings)
    del arguments["bootstrap_servers"]
    (await create_conn(host, port, **arguments)).close()


async def _tls_fault(settings: Settings, host: str, port: int, error: Exception) -> str | None:
    if not settings.kafka_security_protocol.endswith("SSL"):
        return f"{host}:{port} speaks TLS" if await speaks_tls(host, port) else None
    if isinstance(error, ssl.SSLError):
        return f"no TLS with {host}:{port}: {error}"
    is_closed = isinstance(error, ConnectionResetError | BrokenPipeError)
    return f"{host}:{port} closes the connection when we speak TLS" if is_closed else None

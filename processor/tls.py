"""Whether a server speaks TLS: a client without TLS only sees its connection closed, as in an outage."""

import asyncio
import ssl

PATIENCE = 3.0
"""Seconds that a server is given to answer."""


async def speaks_tls(host: str, port: int) -> bool:
    """Tell whether somebody answers a TLS handshake there; what certificate it shows is not looked at."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # an alert is TLS too: it wants our certificate, or a newer version
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True

"""Secrets of clients: made, hashed with argon2, and compared in constant time where they are stored plain."""

import asyncio
import hmac
import secrets
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

PREFIX: Final = "$argon2"
AT_ONCE: Final = 2
"""Hashes computed at the same time: each takes 64 MiB and a core for a while, and strangers can ask for them."""

_HASHER: Final = PasswordHasher()


def new_secret() -> str:
    """40 hex digits, as Learning Locker's keys and secrets are."""
    return secrets.token_hex(20)


def hashed(secret: str) -> str:
    """Hash a secret for storing."""
    return _HASHER.hash(secret)


def is_plain(stored: str) -> bool:
    """Tell a secret that was stored as it is."""
    return not stored.startswith(PREFIX)


async def is_right(stored: str, presented: str) -> bool:
    """Tell whether a secret is the stored one, without holding the event loop up."""
    if is_plain(stored):
        return hmac.compare_digest(stored.encode(), presented.encode())
    return await asyncio.to_thread(_matches, stored, presented)


async def replacement(stored: str, presented: str) -> str | None:
    """Return what is to be stored instead: a hash for a plain secret, or for a hash of older parameters."""
    if not is_plain(stored) and not _HASHER.check_needs_rehash(stored):
        return None
    return await asyncio.to_thread(hashed, presented)


def _matches(stored: str, presented: str) -> bool:
    try:
        return _HASHER.verify(stored, presented)
    except (VerificationError, InvalidHashError):
        return False

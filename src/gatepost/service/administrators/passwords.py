"""Passwords: Argon2id hashes, made and checked in two threads of their own, before which only so many may wait.

Neither the event loop nor the memory suffers under a guessing attack. Who is unknown has the hash ``NOBODY``, so that
looking for them costs the same time as a wrong password.
"""

import asyncio
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gatepost.errors import Problem, ServiceError

SHORTEST = 12
LONGEST = 1_024
HASHER = PasswordHasher()
NOBODY = HASHER.hash(secrets.token_urlsafe(32))
WAITING = 32
BUSY_SECONDS = 5
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
_ROOM = threading.BoundedSemaphore(WAITING)

T = TypeVar("T")
P = ParamSpec("P")


def check(password: str) -> None:
    """Refuse a new password that is too short or too long. Raises ServiceError."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ServiceError(f"The password must have {SHORTEST} to {LONGEST:,} characters.", "Choose another password.")


async def make(password: str) -> str:
    """The hash of a new password. Raises ServiceError where it cannot be one, Problem 503 ``busy``."""
    check(password)
    return await _in_thread(HASHER.hash, _bytes(password))


async def matches(stored: str | None, password: str) -> bool:
    """Whether a password is the one; without one to compare with it takes as long. Raises Problem 503 ``busy``."""
    right = await _in_thread(_matches, stored or NOBODY, _bytes(password[:LONGEST]))
    return right and stored is not None


async def renewed(stored: str, password: str) -> str | None:
    """A hash with the parameters of today where the stored one has others, else None."""
    return await _in_thread(HASHER.hash, _bytes(password[:LONGEST])) if HASHER.check_needs_rehash(stored) else None


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")


def _matches(stored: str, password: bytes) -> bool:
    try:
        return HASHER.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


async def _in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Hash in a thread of ours. Raises Problem 503 ``busy`` where too many wait already."""
    if not _ROOM.acquire(blocking=False):
        raise Problem(503, "busy", "Too many people sign in at once. Try again.", retry_after=BUSY_SECONDS)
    try:
        return await asyncio.get_running_loop().run_in_executor(_THREADS, partial(function, *args, **kwargs))
    finally:
        _ROOM.release()

"""What the operator does with audit trails, straight to the database: verify them, compare them, take them out."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

from gatepost.domain.chain import Flaw
from gatepost.errors import ServiceError, SettingsError
from gatepost.service import tenants, trail
from gatepost.service.administration import operating
from gatepost.service.database import Database
from gatepost.service.trail import Verdict


def verify(
    operator_url: str, slug: str | None = None, witness: Path | None = None, fingerprint: str | None = None
) -> list[Verdict]:
    """Verify a tenant's trail, or every tenant's; ``witness`` is an earlier export of that tenant's.

    ``fingerprint`` is what the key of the signatures must be. Raises ServiceError, SettingsError.
    """

    async def look() -> list[Verdict]:
        async with operating(operator_url) as database:
            return [
                await _verify(database, tenant_id, name, witness, fingerprint)
                for tenant_id, name in await _tenants(database, slug)
            ]

    return asyncio.run(look())


def verify_file(path: Path, fingerprint: str | None = None) -> Verdict:
    """Verify an exported trail, without a database. Raises ServiceError, SettingsError."""
    with _lines(path) as lines:
        return _same_key(trail.verify_file(lines), fingerprint)


def export(operator_url: str, slug: str, write: Callable[[dict[str, Any]], None]) -> None:
    """Give a tenant's trail to ``write``, value by value. Raises ServiceError."""

    async def give() -> None:
        async with operating(operator_url) as database:
            for tenant_id, name in await _tenants(database, slug):
                async with database.tenant(tenant_id) as scope:
                    async for value in trail.export(scope, name):
                        write(value)

    asyncio.run(give())


async def _verify(
    database: Database, tenant_id: UUID, slug: str, witness: Path | None, fingerprint: str | None
) -> Verdict:
    async with database.tenant(tenant_id) as scope:
        verdict = _same_key(await trail.verify(scope, slug), fingerprint)
        if witness:
            with _lines(witness) as lines:
                await trail.witness(scope, lines, verdict)
    return verdict


def _same_key(verdict: Verdict, fingerprint: str | None) -> Verdict:
    """The verdict, with a flaw where the tenant's key is not the one that was told."""
    if fingerprint and _digits(fingerprint) != _digits(verdict.fingerprint):
        verdict.flaws.append(Flaw(f"the tenant's key is another one: {verdict.fingerprint or 'there is none'}."))
    return verdict


def _digits(fingerprint: str) -> str:
    return "".join(fingerprint.lower().removeprefix("sha256:").replace(":", " ").replace("-", " ").split())


async def _tenants(database: Database, slug: str | None) -> list[tuple[UUID, str]]:
    if slug is None:
        async with database.control() as scope:
            return [(row["tenant_id"], row["slug"]) for row in await scope.all("tenants.all")]
    tenant_id = await tenants.find(database, slug)
    if tenant_id is None:
        raise ServiceError(f"There is no tenant {slug}.", "See: gatepost admin tenant list.")
    return [(tenant_id, slug)]


@contextlib.contextmanager
def _lines(path: Path) -> Iterator[Iterable[str]]:
    """The lines of a file. Raises SettingsError."""
    try:
        with path.open(encoding="utf-8") as file:
            yield file
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(f"The file {path} cannot be read: {why}.", "Check path and rights.") from error

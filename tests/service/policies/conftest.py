"""One database for all tests of policies, and a tenant of its own for each: none may notice the others."""

import itertools
from collections.abc import Iterator
from uuid import UUID

import pytest

from gatepost.service import tenants
from gatepost.service.database import Database
from tests.fixtures.database import Cluster, Urls

_numbers = itertools.count()


@pytest.fixture(scope="package")
def database_urls(postgres: Cluster) -> Iterator[Urls]:
    """The database that these tests share."""
    name = postgres.make()
    yield postgres.urls(name)
    postgres.drop(name)


@pytest.fixture
async def tenant(operator: Database) -> UUID:
    """A new tenant."""
    return await tenants.create(operator, f"policies-{next(_numbers)}", "Policies")

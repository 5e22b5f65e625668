"""A service for all of these tests, with a tenant of its own for each story."""

from collections.abc import Iterator

import pytest

from tests.fire.office import House, house
from tests.fixtures.database import Cluster


@pytest.fixture(scope="package")
def built(postgres: Cluster) -> Iterator[House]:
    """A service on a database of its own."""
    name = postgres.make()
    with house(postgres.urls(name)) as made:
        yield made
    postgres.drop(name)

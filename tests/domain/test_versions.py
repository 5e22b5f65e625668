"""Which Exchange a build is, and whether Microsoft supports it on a day."""

from datetime import date

import pytest

from gatepost.domain.versions import PRODUCTS, product_of

DAY = date(2025, 10, 14)


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("Version 14.1 (Build 218.15)", "Exchange Server 2010 SP1"),
        ("Version 14.0 (Build 639.21)", "Exchange Server 2010 without a service pack"),
        ("Version 8.3 (Build 83.6)", "Exchange Server before 2010"),
        ("Version 15.0 (Build 1497.2)", "Exchange Server 2013"),
        ("Version 15.1 (Build 2507.6)", "Exchange Server 2016"),
        ("15.2.1748.10", "Exchange Server 2019"),
        ("Version 15.2 (Build 2562.17)", "Exchange Server Subscription Edition"),
        ("Version 15.2 (Build 3000.1)", "Exchange Server Subscription Edition"),
    ],
)
def test_a_build_tells_the_product(version: str, name: str) -> None:
    """In both forms in which Exchange writes it; a build that is newer than all is the newest product."""
    product = product_of(version)
    assert product is not None
    assert product.name == name


@pytest.mark.parametrize("version", ["", "Exchange", "fifteen.two"])
def test_what_is_no_version_is_no_product(version: str) -> None:
    """It is not taken for the oldest."""
    assert product_of(version) is None


def test_support_ends_with_its_last_day() -> None:
    """On that day it is still supported, on the next it is not; Subscription Edition has no end."""
    product = product_of("Version 15.2 (Build 1544.4)")
    assert product is not None
    assert product.supported(DAY)
    assert not product.supported(date(2025, 10, 15))
    assert PRODUCTS[-1].supported(date(2035, 1, 1))


def test_the_products_are_in_order() -> None:
    """Oldest build first, as looking them up needs it."""
    assert [product.first for product in PRODUCTS] == sorted(product.first for product in PRODUCTS)

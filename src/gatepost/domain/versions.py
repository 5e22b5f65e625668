"""Versions of Exchange by their build, and whether Microsoft still supports them.

As of 2026-11: Microsoft's product lifecycle pages end Exchange 2010 on 2020-10-13, 2013 on 2023-04-11, 2016 and 2019 on
2025-10-14; Subscription Edition is under the modern policy, without an end. The paid Extended Security Updates for 2016
and 2019 (two periods, the second announced for May to October 2026) deliver fixes but are, in Microsoft's words, no
extension of support: they move no date here. Builds are those of Microsoft's list of build numbers and release dates.
"""

import re
from dataclasses import dataclass
from datetime import date

_BUILD = re.compile(r"(\d+)\.(\d+)(?:\.|\s*\(Build\s+)(\d+)(?:\.(\d+))?")

Build = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Product:
    """One Exchange: its name, the first build of it, and the last day of its support (None: no end is set).

    ``usable`` says whether its remote PowerShell has what Gatepost needs.
    """

    name: str
    first: Build
    supported_until: date | None
    usable: bool = True

    def supported(self, today: date) -> bool:
        """Whether Microsoft supports it on a day."""
        return self.supported_until is None or today <= self.supported_until


_ENDED_2010 = date(2020, 10, 13)
PRODUCTS: tuple[Product, ...] = (
    Product("Exchange Server before 2010", (0, 0, 0, 0), date(2017, 4, 11), usable=False),
    Product("Exchange Server 2010 without a service pack", (14, 0, 0, 0), _ENDED_2010, usable=False),
    Product("Exchange Server 2010 SP1", (14, 1, 0, 0), _ENDED_2010),
    Product("Exchange Server 2010 SP2", (14, 2, 0, 0), _ENDED_2010),
    Product("Exchange Server 2010 SP3", (14, 3, 0, 0), _ENDED_2010),
    Product("Exchange Server 2013", (15, 0, 0, 0), date(2023, 4, 11)),
    Product("Exchange Server 2016", (15, 1, 0, 0), date(2025, 10, 14)),
    Product("Exchange Server 2019", (15, 2, 0, 0), date(2025, 10, 14)),
    Product("Exchange Server Subscription Edition", (15, 2, 2562, 0), None),
)
"""Oldest first; a build belongs to the last one that it is not older than."""


def build_of(version: str) -> Build | None:
    """The build in a version as Exchange writes it (``Version 15.2 (Build 1544.4)`` or ``15.2.1544.4``), or None."""
    found = _BUILD.search(version)
    if found is None:
        return None
    major, minor, build, revision = (int(part or 0) for part in found.groups())
    return major, minor, build, revision


def product_of(version: str) -> Product | None:
    """The product of a version as Exchange writes it; None where no build is in it."""
    build = build_of(version)
    return None if build is None else next(entry for entry in reversed(PRODUCTS) if build >= entry.first)

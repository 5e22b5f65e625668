"""Our own texts of notices, complete in each language; a tenant may put its own in the place of any template."""

from collections.abc import Mapping
from types import MappingProxyType

from gatepost.domain.notices import de, en, fr, nl
from gatepost.domain.notices.texts import Catalogue

CATALOGUES: Mapping[str, Catalogue] = MappingProxyType({each.TEXTS.code: each.TEXTS for each in (en, nl, de, fr)})
"""By the language's code; English first."""


def language_of(told: str | None, otherwise: str = "en") -> Catalogue:
    """The texts for a person whose language a directory calls ``nl`` or ``nl-BE``; else those of ``otherwise``."""
    code = (told or "").replace("_", "-").partition("-")[0].strip().lower()
    return CATALOGUES.get(code) or CATALOGUES.get(otherwise) or CATALOGUES["en"]

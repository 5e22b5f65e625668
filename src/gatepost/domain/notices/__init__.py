"""Mail to people about their devices: the texts in each language, and how a mail is made of a template and values.

``templates`` turns a template and values into a mail and says what is wrong with a template; ``catalogue`` holds our
own texts, complete in each language.
"""

from gatepost.domain.notices.catalogue import CATALOGUES, language_of
from gatepost.domain.notices.templates import (
    PLACEHOLDERS,
    Fault,
    Kind,
    Mail,
    Template,
    allowed_link,
    check,
    clean,
    faults_of_words,
    render,
)
from gatepost.domain.notices.texts import Catalogue

__all__ = [
    "CATALOGUES",
    "PLACEHOLDERS",
    "Catalogue",
    "Fault",
    "Kind",
    "Mail",
    "Template",
    "allowed_link",
    "check",
    "clean",
    "faults_of_words",
    "language_of",
    "render",
]

"""Names in a directory: how Exchange writes where an object stands, and how text becomes a key to look it up."""

import re

_DN_SPECIAL = re.compile(r'([,+"\\<>;=])')
_DN_CONTROL = re.compile(r"[\x00-\x1f]")
_DN_CARE = re.compile(r'[,+"\\<>;=\x00-\x1f]|^[# ]| $')


def dn_part(name: str) -> str:
    """A common name as it stands in a distinguished name (RFC 4514)."""
    if _DN_CARE.search(name) is None:
        return name
    text = _DN_SPECIAL.sub(r"\\\1", name)
    text = _DN_CONTROL.sub(lambda found: f"\\{ord(found[0]):02X}", text)
    if text.startswith(("#", " ")):
        text = "\\" + text
    return text[:-1] + "\\ " if text.endswith(" ") and len(text) > 1 else text


def canonical_part(name: str) -> str:
    r"""A common name as it stands in a canonical name: a slash is written ``\/``."""
    return name.replace("\\", "\\\\").replace("/", "\\/")


def key(text: str) -> str:
    """What two spellings of one identity share: Active Directory compares without regard to case."""
    return text.casefold()


def config_dn(name: str, folder: str) -> str:
    """The distinguished name of an object of the organization's configuration, in a folder of it."""
    return f"CN={dn_part(name)},CN={folder},CN=Lab,CN=Microsoft Exchange,CN=Services,CN=Configuration,DC=lab,DC=example"

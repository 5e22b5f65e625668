"""What Kerberos says when it does not work, as cause and remedy.

The libraries answer with numbers (RFC 4120, section 7.5.9, and MIT's error tables), which are the same in every
language; their texts are not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass

_TABLE = -1765328384
"""Where MIT's table of Kerberos errors begins; RFC 4120's codes are counted from here."""


@dataclass(frozen=True, slots=True)
class Explained:
    """A cause and a remedy, where ``{user}``, ``{host}``, ``{server}`` stand for names; ``network``: no answer."""

    cause: str
    remedy: str
    network: bool = False


_WRONG_PASSWORD = Explained("the password of {user} is wrong", "Write the right one into the password file.")
_UNKNOWN_SERVICE = Explained(
    "Kerberos knows no service HTTP/{host}",
    "The address must have the server's own name, as Get-ExchangeServer shows it; a load-balanced name works only where"
    " its account has it: setspn -S HTTP/{host} ACCOUNT.",
)
_NO_TICKET = Explained(
    "there is no password and no valid Kerberos ticket or key for {user}",
    "Give --password-file or --keytab, or run kinit or k5start as the user that runs Gatepost.",
)
_NO_CONTROLLER = Explained(
    "no domain controller of its domain answers for Kerberos",
    "Check the domain after the @, DNS, /etc/krb5.conf, and that port 88 is open.",
    network=True,
)

_CODES = {
    1: Explained("the account {user} has expired", "Extend it in Active Directory."),
    6: Explained(
        "there is no account {user} in its domain", "Check the name: user@DOMAIN, with the domain's DNS name."
    ),
    7: _UNKNOWN_SERVICE,
    12: Explained(
        "the domain's policy lets {user} not sign in now or from here", "Look at its hours and workstations."
    ),
    14: Explained(
        "the domain and this machine have no kind of encryption in common",
        "Allow AES for the account (msDS-SupportedEncryptionTypes), and look at /etc/krb5.conf.",
    ),
    18: Explained("the account {user} is disabled, locked or expired", "Look at it in Active Directory."),
    23: Explained("the password of {user} has expired", "Change it; for a service account, let it not expire."),
    24: _WRONG_PASSWORD,
    31: _WRONG_PASSWORD,
    32: _NO_TICKET,
    37: Explained(
        "the clocks are too far apart: this machine, the domain controller and {server} may differ by 5 minutes",
        "Let the time be set from the domain (NTP).",
    ),
    41: Explained(
        "{server} cannot read the ticket that the domain made for it",
        "HTTP/{host} is registered on another account than the one that Exchange runs as: setspn -Q HTTP/{host}.",
    ),
    44: Explained("the key that {server} has is not the domain's newest", "Renew its key table or restart it."),
    68: Explained(
        "the domain controllers name another domain for {user}", "Write the account as user@DOMAIN of its own domain."
    ),
    141: _NO_TICKET,
    154: _NO_CONTROLLER,
    156: _NO_CONTROLLER,
    181: _NO_TICKET,
    195: _NO_TICKET,
    220: _NO_CONTROLLER,
    224: Explained("this machine knows no domain", "Write the account as user@DOMAIN, or name it in /etc/krb5.conf."),
}


def explained(error: BaseException) -> Explained | None:
    """What a chain of library errors means; None where none of them has a number that is known here."""
    return next((_CODES[number] for number in _numbers(error) if number in _CODES), None)


def _numbers(error: BaseException) -> Iterator[int]:
    """The numbers of Kerberos in an error and what it wraps, counted from the table's beginning."""
    seen: set[int] = set()
    left: list[object] = [error]
    while left:
        entry = left.pop()
        if not isinstance(entry, BaseException) or id(entry) in seen:
            continue
        seen.add(id(entry))
        for name in ("err_code", "min_code"):
            code = getattr(entry, name, None)
            if isinstance(code, int):
                yield (code - 2**32 if code >= 2**31 else code) - _TABLE
        left += [getattr(entry, "base_error", None), entry.__context__, entry.__cause__]

"""What Exchange may do and need not (a dialect), and what goes wrong (a fault); both are chosen by name.

A client that works with every dialect depends on nothing that the lab happens to do; a client that names every fault
tells its user what is wrong.
"""

from dataclasses import dataclass, fields, replace
from enum import StrEnum

from gatepost.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Dialect:
    """One lawful way to be Exchange; the default is the plainest.

    ``fragment`` is the largest PSRP fragment in bytes, ``share`` how many of them share one stream element.
    ``select_limit`` is the largest number of property names that Select-Object takes. ``redirect`` is "path" or "port".
    ``clock`` is how far the web server's clock is ahead, in seconds. ``protection`` asks that a sign-in over TLS is
    bound to the channel.
    """

    shuffled: bool = False
    fragment: int = 32_768
    share: int = 1
    envelope: int = 512_000
    bom: bool = False
    other_prefixes: bool = False
    extra_properties: bool = False
    missing_properties: bool = False
    other_types: bool = False
    short_identity: bool = False
    cookie: bool = False
    language: str = "en"
    exclusive_lists: bool = False
    clock: float = 0.0
    redirect: str = ""
    select_limit: int = 0
    progress: bool = False
    protection: bool = False
    time_filters: str = "as written"
    hidden_lists: bool = False
    budget: str = "global"
    passed_on: bool = False


DIALECTS: dict[str, Dialect] = {
    "plain": Dialect(),
    "shuffled": Dialect(shuffled=True),
    "tiny-fragments": Dialect(fragment=1_024),
    "tiny-envelopes": Dialect(envelope=8_192),
    "shared-streams": Dialect(share=5),
    "bom": Dialect(bom=True),
    "prefixes": Dialect(other_prefixes=True),
    "extra-properties": Dialect(extra_properties=True),
    "missing-properties": Dialect(missing_properties=True),
    "other-types": Dialect(other_types=True),
    "short-identity": Dialect(short_identity=True),
    "cookies": Dialect(cookie=True),
    "dutch": Dialect(language="nl"),
    "german": Dialect(language="de"),
    "exclusive-lists": Dialect(exclusive_lists=True),
    "clock-ahead": Dialect(clock=86_400.0),
    "clock-behind": Dialect(clock=-86_400.0),
    "redirect-path": Dialect(redirect="path"),
    "redirect-port": Dialect(redirect="port"),
    "narrow-select": Dialect(select_limit=11),
    "progress": Dialect(progress=True),
    "extended-protection": Dialect(protection=True),
    "time-filters-refused": Dialect(time_filters="refused"),
    "time-filters-ignored": Dialect(time_filters="ignored"),
    "time-filters-local": Dialect(time_filters="local"),
    "hidden-lists": Dialect(hidden_lists=True),
    "passed-on": Dialect(passed_on=True),
    "own-budget": Dialect(budget="own"),
    "organization-budget": Dialect(budget="organization"),
    "all-at-once": Dialect(
        shuffled=True,
        fragment=1_500,
        share=3,
        envelope=20_000,
        bom=True,
        other_prefixes=True,
        extra_properties=True,
        missing_properties=True,
        other_types=True,
        cookie=True,
        progress=True,
    ),
}
"""Every dialect by its name."""


class Fault(StrEnum):
    """One thing that goes wrong; ``faults.Faults`` says when."""

    REFUSED = "refused"
    HANG = "hang"
    REDIRECTED = "redirected"
    SIGNED_OUT = "signed-out"
    LOST_AFFINITY = "lost-affinity"
    HTML_500 = "html-500"
    HTML_200 = "html-200"
    BUSY_503 = "busy-503"
    MALFORMED_SOAP = "malformed-soap"
    DOCTYPE_SOAP = "doctype-soap"
    TRUNCATED_FRAGMENT = "truncated-fragment"
    BREAK_OFF = "break-off"
    RESET = "reset"
    DRIP = "drip"
    DOCTYPE_CLIXML = "doctype-clixml"
    MALFORMED_OBJECT = "malformed-object"
    HUGE_PROPERTY = "huge-property"
    DEEP_OBJECT = "deep-object"
    NTLM_ONLY = "ntlm-only"
    UNKNOWN_CA = "unknown-ca"
    ACCESS_DENIED = "access-denied"
    SHELL_LOST = "shell-lost"
    TOO_MANY_SHELLS = "too-many-shells"
    THROTTLED = "throttled"
    THROTTLED_OUTPUT = "throttled-output"
    MICRO_DELAY = "micro-delay"
    SILENT = "silent"
    RUNSPACE_BROKEN = "runspace-broken"
    HALF_WAY = "half-way"
    PROMPT = "prompt"
    MAIL_BUSY = "mail-busy"
    MAIL_LOST = "mail-lost"
    NO_MAILBOX = "no-mailbox"
    AUTODISCOVER_MISSING = "autodiscover-missing"
    AUTODISCOVER_ELSEWHERE = "autodiscover-elsewhere"
    AUTODISCOVER_MOVED = "autodiscover-moved"
    AUTODISCOVER_RENAMED = "autodiscover-renamed"
    AUTODISCOVER_HANG = "autodiscover-hang"


FAULT_MEANINGS: dict[Fault, str] = {
    Fault.REFUSED: "a new connection is reset before a byte is read",
    Fault.HANG: "a request is read and never answered; the connection stays open",
    Fault.REDIRECTED: "a request is answered by a redirect to a host that nobody named",
    Fault.SIGNED_OUT: "the connection forgets who has signed in, and answers 401",
    Fault.LOST_AFFINITY: "a request goes to a server that does not know its shell",
    Fault.HTML_500: "every request is answered by an HTML page with status 500",
    Fault.HTML_200: "every request is answered by an HTML page with status 200",
    Fault.BUSY_503: "every request is answered by status 503 with Retry-After",
    Fault.MALFORMED_SOAP: "the answer to Receive stops making sense in the middle of its XML",
    Fault.DOCTYPE_SOAP: "the answer to Receive has a document type with an entity",
    Fault.TRUNCATED_FRAGMENT: "the last fragment of an answer is shorter than its header says",
    Fault.BREAK_OFF: "the connection ends in the middle of an answer to Receive",
    Fault.RESET: "the connection is reset in the middle of an answer to Receive",
    Fault.DRIP: "an answer to Receive trickles, a byte at a time",
    Fault.DOCTYPE_CLIXML: "one object of a listing has a document type with an entity",
    Fault.MALFORMED_OBJECT: "one object of a listing is not well-formed",
    Fault.HUGE_PROPERTY: "one object of a listing has a property of 2 MB",
    Fault.DEEP_OBJECT: "one object of a listing holds objects nested 1,000 deep",
    Fault.NTLM_ONLY: "the server offers NTLM and nothing else",
    Fault.UNKNOWN_CA: "the certificate is from an authority other than the published one",
    Fault.ACCESS_DENIED: "signing in works, but the account may not use remote PowerShell",
    Fault.SHELL_LOST: "every Receive for a command finds its shell gone",
    Fault.TOO_MANY_SHELLS: "every new shell is refused, as by the quota of concurrent shells",
    Fault.THROTTLED: "every command is refused, with the milliseconds to wait in the text of the fault",
    Fault.THROTTLED_OUTPUT: "a Receive for a command, which runs on, is refused in the same way",
    Fault.MICRO_DELAY: "a cmdlet starts late and warns that it was delayed",
    Fault.SILENT: "a command never has any output, and never ends",
    Fault.RUNSPACE_BROKEN: "a command finds its runspace broken, and so does each that follows in it",
    Fault.HALF_WAY: "a pipeline fails when half of its output is given",
    Fault.PROMPT: "a cmdlet asks a person to confirm, and waits",
    Fault.MAIL_BUSY: "EWS answers that it is too busy, with the milliseconds to wait",
    Fault.MAIL_LOST: "EWS does as it is asked, and the connection is reset before its answer is whole",
    Fault.NO_MAILBOX: "EWS answers that the account has no mailbox",
    Fault.AUTODISCOVER_MISSING: "there is no Autodiscover at the address",
    Fault.AUTODISCOVER_ELSEWHERE: "Autodiscover redirects (302) to a host that nobody named",
    Fault.AUTODISCOVER_MOVED: "Autodiscover's answer names another server, which nobody named, to ask",
    Fault.AUTODISCOVER_RENAMED: "Autodiscover's answer names another address of the account to ask for",
    Fault.AUTODISCOVER_HANG: "Autodiscover is asked and never answers",
}
"""What each fault does; docs/lab.md prints this table."""


def dialect_named(names: str) -> Dialect:
    """The dialect of one or more names joined by commas. Raises SettingsError."""
    made = Dialect()
    for name in filter(None, (part.strip() for part in names.split(","))):
        if name not in DIALECTS:
            raise SettingsError(f"There is no dialect {name!r}.", f"Choose from {', '.join(DIALECTS)}.")
        plain, wanted = Dialect(), DIALECTS[name]
        changed = {
            item.name: getattr(wanted, item.name)
            for item in fields(Dialect)
            if getattr(wanted, item.name) != getattr(plain, item.name)
        }
        made = replace(made, **changed)
    return made

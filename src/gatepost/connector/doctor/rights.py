"""Checks of the account's rights: what is missing, and what is granted and not needed for what is configured.

Needed is what the declarations of the cmdlets say of each duty (exchange.cmdlets), and nothing else.
"""

from collections.abc import Iterable, Sequence

from gatepost.connector.doctor.examination import Checks
from gatepost.domain.checks import Check, Level
from gatepost.domain.devices import Capabilities
from gatepost.exchange import roles
from gatepost.exchange.cmdlets import EXCHANGE, REQUIRED
from gatepost.exchange.commands import Cmdlet, Duty

NAMED = 24
"""So many names at the most stand in a sentence."""
_ENDPOINT = frozenset({"Exit-PSSession", "Get-Command", "Get-FormatData", "Get-Help", "Measure-Object", "Out-Default",
                       "Select-Object"})  # fmt: skip
_READING = ("get-", "test-", "search-", "measure-", "select-", "out-", "exit-", "where-", "format-")
_COMMON = frozenset(
    {
        "asjob", "confirm", "debug", "erroraction", "errorvariable", "informationaction", "informationvariable",
        "outbuffer", "outvariable", "pipelinevariable", "verbose", "warningaction", "warningvariable", "whatif",
    }
)  # fmt: skip


def checks(capabilities: Capabilities, every: Sequence[str], mode: str) -> Checks:
    """What is missing for reading and for the gate, and what is too much; ``every`` is each cmdlet that is granted."""
    granted = {name.lower(): {each.lower() for each in found} for name, found in capabilities.cmdlets.items()}
    yield _reading(granted)
    if mode == "enforce":
        yield _gate(granted)
    else:
        yield Check("rights-gate", Level.SKIPPED, "The mode is observe: no right to write is needed.")
    yield _extra(granted, every, mode)


def _reading(granted: dict[str, set[str]]) -> Check:
    lacks = _lacks(granted, Duty.READ)
    if not lacks:
        return Check("rights-read", Level.GOOD, f"All {_count(Duty.READ)} cmdlets for reading are granted.")
    grave = any(_name(granted, cmdlet) is None for cmdlet in REQUIRED)
    purposes = dict.fromkeys(cmdlet.purpose for cmdlet, _ in lacks)
    return Check(
        "rights-read",
        Level.BAD if grave else Level.WARNING,
        f"For reading, the account lacks {_told(words for _, words in lacks)}.",
        "Without them there is no inventory." if grave else f"Left out is what they are for: {', '.join(purposes)}.",
        "Have an Exchange administrator run what `gatepost exchange rbac --print` prints.",
    )


def _gate(granted: dict[str, set[str]]) -> Check:
    lacks = _lacks(granted, Duty.GATE)
    if not lacks:
        return Check("rights-gate", Level.GOOD, "The lists of allowed and blocked devices may be written.")
    return Check(
        "rights-gate",
        Level.BAD,
        f"To write the lists, the account lacks {_told(words for _, words in lacks)}.",
        "The mode is enforce, and every write will be refused.",
        "Have an Exchange administrator run what `gatepost exchange rbac --print --mode enforce` prints.",
    )


def _extra(granted: dict[str, set[str]], every: Sequence[str], mode: str) -> Check:
    """What is granted and not needed; in ``observe`` that is every cmdlet that changes something."""
    needed = _needed(granted, mode)
    harmless = {name.lower() for cmdlet in EXCHANGE if cmdlet.duty is Duty.READ for name in cmdlet.names}
    extra = [name for name in every if name.lower() not in needed and name not in _ENDPOINT]
    writing = [name for name in extra if not name.lower().startswith(_READING)]
    reading = [name for name in extra if name not in writing]
    wide = [
        f"{name} with {len(more)} more parameters"
        for name in every
        if (more := granted.get(name.lower(), set()) - needed.get(name.lower(), granted.get(name.lower(), set())))
        and name.lower() not in harmless
    ]
    if not (writing or reading or wide):
        return Check("rights-extra", Level.GOOD, "Nothing is granted beyond what is needed.")
    told = [_told(entries) for entries in (writing, wide) if entries]
    told += [f"{len(reading)} that only read ({_told(reading)})"] if reading else []
    can_write = bool(writing or wide)
    what = "The account may write" if can_write and mode == "observe" else "The account may use more than is needed"
    return Check(
        "rights-extra",
        Level.WARNING,
        f"{what}: {'; '.join(told)}.",
        "Whoever gets hold of this machine or of the password can do all of that."
        if can_write
        else "What is not granted cannot be misused.",
        f"Cut its roles to what is needed: gatepost exchange rbac --print --mode {mode}",
    )


def _needed(granted: dict[str, set[str]], mode: str) -> dict[str, set[str]]:
    """The cmdlets and parameters that are needed, by the names that they have here, in lower case."""
    needed: dict[str, set[str]] = {}
    for duty in roles.duties(mode):
        for cmdlet in EXCHANGE:
            parameters, name = cmdlet.needed(duty), _name(granted, cmdlet)
            if parameters is not None and name is not None:
                called = {cmdlet.called(name, each).lower() for each in parameters}
                needed.setdefault(name.lower(), set(_COMMON)).update(called)
    return needed


def _lacks(granted: dict[str, set[str]], duty: Duty) -> list[tuple[Cmdlet, str]]:
    """The cmdlets of a duty that are missing, or parameters of them, in words."""
    found = []
    for cmdlet in EXCHANGE:
        parameters, name = cmdlet.needed(duty), _name(granted, cmdlet)
        if parameters is None:
            continue
        if name is None:
            found.append((cmdlet, cmdlet.name))
            continue
        has = granted[name.lower()]
        missing = [f"-{each}" for each in (cmdlet.called(name, word) for word in parameters) if _is_missing(each, has)]
        if missing:
            found.append((cmdlet, f"{', '.join(missing)} of {name}"))
    return found


def _is_missing(parameter: str, has: set[str]) -> bool:
    """Whether a parameter is missing; a cmdlet that tells no parameters lacks none."""
    return bool(has) and parameter.lower() not in has | _COMMON


def _name(granted: dict[str, set[str]], cmdlet: Cmdlet) -> str | None:
    """The name under which a cmdlet is granted."""
    return next((name for name in cmdlet.names if name.lower() in granted), None)


def _count(duty: Duty) -> int:
    return sum(cmdlet.needed(duty) is not None for cmdlet in EXCHANGE)


def _told(names: Iterable[str]) -> str:
    """Names in a sentence, the first of many."""
    found = list(names)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more

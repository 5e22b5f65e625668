r"""Least privilege as PowerShell: roles with exactly the cmdlets and parameters that are declared in ``cmdlets``.

For each duty (read, gate, settings, wipe) a role group of its own. Which built-in role is the parent differs between
versions, so the script asks Exchange; what a version does not have is left out there. Nothing that a person typed can
leave its quotes: texts stand in single quotes, quotes within are doubled, and whatever is not ASCII is a number.
"""

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

from gatepost.errors import UsageError
from gatepost.exchange import cmdlets, powershell
from gatepost.exchange.budget import RESERVE
from gatepost.exchange.commands import Cmdlet, Duty
from gatepost.quoting import listed, quoted

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ACCOUNT = re.compile(r"[^\\@]+\\[^\\@]+|[^\\@]+@[^\\@]+")
_RUNSPACES = 6
_INDENT = " " * 4


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a role: a cmdlet with the parameters that a duty needs of it; ``old`` as before Exchange 2013.

    One that is used without parameters keeps those of its parent: it reads.
    """

    duty: Duty
    name: str
    parameters: tuple[str, ...]
    role: str
    old: str | None = None
    old_parameters: tuple[str, ...] = ()


def duties(mode: str, *, settings: bool = False, wipe: bool = False) -> tuple[Duty, ...]:
    """What an account is to do: read, gate where the mode is enforce, and what else is asked for."""
    wanted = {Duty.READ: True, Duty.GATE: mode == "enforce", Duty.SETTINGS: settings, Duty.WIPE: wipe}
    return tuple(duty for duty, is_wanted in wanted.items() if is_wanted)


def entries(wanted: Iterable[Duty]) -> tuple[Entry, ...]:
    """The entries of the roles for these duties, derived from the declarations of the cmdlets."""
    return tuple(
        _entry(cmdlet, duty, needed)
        for duty in wanted
        for cmdlet in cmdlets.EXCHANGE
        if (needed := cmdlet.needed(duty)) is not None
    )


def script(wanted: Iterable[Duty], *, account: str = "", scope_group: str = "", runspaces: int = _RUNSPACES) -> str:
    """The PowerShell that makes the roles, role groups, scope and throttling policy; safe to run again.

    ``account`` becomes a member, ``scope_group`` (a distinguished name) limits writing to its members. Raises
    UsageError where one of them cannot be what it should.
    """
    chosen = tuple(wanted)
    values = {
        "DUTIES": listed(str(duty) for duty in chosen),
        "ACCOUNT": quoted(_an_account(account)),
        "GROUP": quoted(_a_name(scope_group)),
        "CONCURRENCY": str(runspaces + RESERVE),
        "ENTRIES": ",\n".join(_INDENT + _table(entry) for entry in entries(chosen)),
    }
    return powershell.filled(powershell.MAKE, values)


def removal(account: str = "") -> str:
    """The PowerShell that takes all of that away again; safe to run again. Raises UsageError as ``script``."""
    values = {"DUTIES": listed(str(duty) for duty in Duty), "ACCOUNT": quoted(_an_account(account))}
    return powershell.filled(powershell.REMOVE, values)


def _entry(cmdlet: Cmdlet, duty: Duty, needed: tuple[str, ...]) -> Entry:
    old = tuple(cmdlet.called(cmdlet.old, name) for name in needed) if cmdlet.old else ()
    return Entry(duty, cmdlet.name, needed, cmdlet.role, cmdlet.old, old)


def _table(entry: Entry) -> str:
    """An entry as a PowerShell hash table."""
    old = ""
    if entry.old:
        same = entry.old_parameters == entry.parameters
        old = f"\n       Old = {quoted(entry.old)}"
        old += "" if same else f"\n       OldParameters = {_folded(entry.old_parameters)}"
    return (
        f"@{{ Duty = {quoted(entry.duty)}; Cmdlet = {quoted(entry.name)}; Role = {quoted(entry.role)}"
        f"\n       Parameters = {_folded(entry.parameters)}{old} }}"
    )


def _folded(names: tuple[str, ...]) -> str:
    """Names as a PowerShell array on lines that people can read; no name has a blank in it."""
    return textwrap.fill(listed(names), 112, subsequent_indent=" " * 11, break_long_words=False, break_on_hyphens=False)


def _an_account(account: str) -> str:
    _refuse_controls(account)
    if account and not _ACCOUNT.fullmatch(account):
        raise UsageError(f"{account!r} is no account.", r"Give one such as EXAMPLE\svc-gatepost or user@example.com.")
    return account


def _a_name(group: str) -> str:
    _refuse_controls(group)
    if group and "=" not in group:
        raise UsageError(
            f"{group!r} is no distinguished name.", "Give one such as CN=Phones,OU=Groups,DC=example,DC=com."
        )
    return group


def _refuse_controls(text: str) -> None:
    if _CONTROL.search(text):
        raise UsageError("A name has a control character in it.", "Type it again; it may come from a copied line end.")

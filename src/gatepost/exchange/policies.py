"""The organization's mobile device mailbox policies. Only settings that differ are written."""

from collections.abc import Mapping
from typing import Any

from gatepost.domain.settings import MailboxPolicy, Setting
from gatepost.errors import CmdletFailed, UsageError
from gatepost.exchange.calls import Calls
from gatepost.exchange.cmdlets import (
    GET_MAILBOX_POLICY,
    NEW_MAILBOX_POLICY,
    REMOVE_MAILBOX_POLICY,
    SET_MAILBOX_POLICY,
)
from gatepost.exchange.commands import NULL, Change
from gatepost.exchange.mailbox_settings import BOOLEANS, LISTS, SETTINGS
from gatepost.exchange.reading import Row, listed, text
from gatepost.exchange.transport import Permit
from gatepost.wire.clixml import Value

Settings = Mapping[str, Setting]


def policies(calls: Calls) -> list[MailboxPolicy]:
    """All mobile device mailbox policies, with the settings that have a value."""
    return [_policy(row) for row in calls.read(GET_MAILBOX_POLICY, **calls.at_configuration)]


def create_policy(calls: Calls, name: str, settings: Settings, permit: Permit) -> MailboxPolicy:
    """Make a policy, unless one of that name and these settings is there. Raises CmdletFailed where it has others."""
    _check(settings)
    for policy in policies(calls):
        if (policy.name or "").casefold() == name.casefold() and not _differences(policy, settings):
            return policy
    given: dict[str, Any] = {key: NULL if value is None else value for key, value in settings.items()}
    return calls.written(
        NEW_MAILBOX_POLICY, permit, lambda: _named(calls, name), Name=name, **given, **calls.at_configuration
    )


def change_policy(calls: Calls, guid: str, settings: Settings, permit: Permit) -> MailboxPolicy:
    """Change settings of a policy, where they differ; None clears one."""
    _check(settings)
    before = _one(calls, guid)
    differences = _differences(before, settings)
    if not differences:
        return before
    return calls.written(
        SET_MAILBOX_POLICY, permit, lambda: _one(calls, guid), Identity=guid, **differences, **calls.at_configuration
    )


def remove_policy(calls: Calls, guid: str, permit: Permit) -> None:
    """Remove a policy, unless it is gone already. Exchange keeps the default one."""
    calls.remove(REMOVE_MAILBOX_POLICY, permit, lambda: _one(calls, guid), Identity=guid, **calls.at_configuration)


def _check(settings: Settings) -> None:
    """Refuse a name that is no setting; the types are held by the declaration."""
    for name in settings:
        if name not in SETTINGS:
            raise UsageError(f"{name} is no setting of a mobile device mailbox policy.", "Names are Exchange 2013's.")


def _differences(policy: MailboxPolicy, settings: Settings) -> dict[str, Any]:
    """The settings that are not so yet, as a Set- cmdlet takes them."""
    found: dict[str, Any] = {}
    for name, wanted in settings.items():
        there = policy.settings.get(name)
        if name in LISTS:
            change = _list_change(there, wanted)
            if change:
                found[name] = change
        elif _folded(there) != _folded(wanted):
            found[name] = NULL if wanted is None else wanted
    return found


def _list_change(there: Setting, wanted: Setting) -> Change:
    old, new = (entry if isinstance(entry, tuple) else () for entry in (there, wanted))
    return Change(tuple(entry for entry in new if entry not in old), tuple(entry for entry in old if entry not in new))


def _folded(value: Setting) -> Setting:
    return value.casefold() if isinstance(value, str) else value


def _named(calls: Calls, name: str) -> MailboxPolicy:
    for policy in policies(calls):
        if (policy.name or "").casefold() == name.casefold():
            return policy
    raise CmdletFailed(calls.name(GET_MAILBOX_POLICY), f"it has no policy {name!r}", server=calls.pool.server)


def _one(calls: Calls, guid: str) -> MailboxPolicy:
    return _policy(calls.one(GET_MAILBOX_POLICY, GET_MAILBOX_POLICY.fields, guid, **calls.at_configuration))


def _policy(row: Row) -> MailboxPolicy:
    guid, name, is_default, *values = row
    settings = {key: _setting(key, value) for key, value in zip(SETTINGS, values, strict=True) if value is not None}
    return MailboxPolicy(str(guid), text(name), is_default if isinstance(is_default, bool) else None, settings)


def _setting(name: str, value: Value) -> Setting:
    """A setting's value: a Boolean, a list of texts, or the text of whatever else it is."""
    if name in BOOLEANS and isinstance(value, bool):
        return value
    return listed(value) if name in LISTS else text(value)

"""The organization's device access rules. Exchange changes nothing of a rule but its level."""

from gatepost.domain.settings import AccessRule
from gatepost.errors import CmdletFailed
from gatepost.exchange.calls import Calls
from gatepost.exchange.cmdlets import GET_ACCESS_RULE, NEW_ACCESS_RULE, REMOVE_ACCESS_RULE, SET_ACCESS_RULE
from gatepost.exchange.reading import Row, text
from gatepost.exchange.transport import Permit


def rules(calls: Calls) -> list[AccessRule]:
    """All device access rules."""
    return [_rule(row) for row in calls.read(GET_ACCESS_RULE, **calls.at_configuration)]


def create_rule(calls: Calls, characteristic: str, query: str, level: str, permit: Permit) -> AccessRule:
    """Make a rule, unless just that one is there. Raises CmdletFailed where the text has a rule of another level."""
    for rule in rules(calls):
        if _is_about(rule, characteristic, query) and _same(rule.level, level):
            return rule
    return calls.written(
        NEW_ACCESS_RULE,
        permit,
        lambda: _find(calls, characteristic, query),
        Characteristic=characteristic,
        QueryString=query,
        AccessLevel=level,
        **calls.at_configuration,
    )


def change_rule(calls: Calls, guid: str, level: str, permit: Permit) -> AccessRule:
    """Give a rule another level, unless it has it."""
    before = _one(calls, guid)
    if _same(before.level, level):
        return before
    return calls.written(
        SET_ACCESS_RULE,
        permit,
        lambda: _one(calls, guid),
        Identity=guid,
        AccessLevel=level,
        **calls.at_configuration,
    )


def remove_rule(calls: Calls, guid: str, permit: Permit) -> None:
    """Remove a rule, unless it is gone already."""
    calls.remove(REMOVE_ACCESS_RULE, permit, lambda: _one(calls, guid), Identity=guid, **calls.at_configuration)


def _find(calls: Calls, characteristic: str, query: str) -> AccessRule:
    for rule in rules(calls):
        if _is_about(rule, characteristic, query):
            return rule
    raise CmdletFailed(GET_ACCESS_RULE.name, f"it has no rule for {query!r}", server=calls.pool.server)


def _one(calls: Calls, guid: str) -> AccessRule:
    return _rule(calls.one(GET_ACCESS_RULE, GET_ACCESS_RULE.fields, guid, **calls.at_configuration))


def _rule(row: Row) -> AccessRule:
    guid, *texts = row
    return AccessRule(str(guid), *map(text, texts))


def _is_about(rule: AccessRule, characteristic: str, query: str) -> bool:
    return _same(rule.characteristic, characteristic) and _same(rule.query, query)


def _same(there: str | None, wanted: str) -> bool:
    return there is not None and there.casefold() == wanted.casefold()

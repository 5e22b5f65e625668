"""Mobile device mailbox policies, under today's names and under those of 2010."""

from collections.abc import Iterable
from typing import Any

from gatepost.lab import configuration_shapes, errors
from gatepost.lab.binding import Cmdlet, Parameter
from gatepost.lab.calls import Call
from gatepost.lab.cmdlets.parameters import CONTROLLER, IDENTITY, WRITING, target
from gatepost.lab.mobile_policies import IS_DEFAULT, IS_DEFAULT_OLD, SETTINGS, PolicyRow
from gatepost.lab.names import key
from gatepost.lab.rows import MailboxPolicy
from gatepost.lab.values import Multi


def _is_old(call: Call) -> bool:
    return "ActiveSync" in call.cmdlet.name


def _named(call: Call, identity: str) -> MailboxPolicy | None:
    """The policy of a name, guid or distinguished name."""
    wanted = key(identity)
    return next(
        (
            policy
            for policy in call.view.policies
            if wanted in {key(policy.name), key(policy.guid), key(PolicyRow(policy).dn)}
        ),
        None,
    )


def _policy(call: Call) -> MailboxPolicy | None:
    """The policy of ``-Identity``, or None after the error was reported."""
    identity = call.arguments.values["Identity"]
    policy = _named(call, identity)
    if policy is None:
        call.missing(identity)
    return policy


def get_policies(call: Call) -> Iterable[PolicyRow]:
    """Get-MobileDeviceMailboxPolicy: all, or one."""
    if call.arguments.text("Identity") is None:
        return [PolicyRow(policy) for policy in call.view.policies]
    policy = _policy(call)
    return (PolicyRow(policy),) if policy else ()


def new_policy(call: Call) -> Iterable[PolicyRow]:
    """New-MobileDeviceMailboxPolicy: a policy with these settings, the rest default."""
    policy = MailboxPolicy(call.arguments.values["Name"])
    if _named(call, policy.name) is not None:
        call.fail(errors.already_exists(call.cmdlet.name, PolicyRow(policy).dn, call.controller))
        return ()
    if not call.agreed("changing", name=policy.name):
        return ()
    call.touched = policy.name
    policy.settings = _given(call, policy)
    made = call.view.add_policy(policy)
    return (PolicyRow(_make_default(call, made)),)


def set_policy(call: Call) -> Iterable[object]:
    """Set-MobileDeviceMailboxPolicy: other settings; what is so already is not written."""
    policy = _policy(call)
    if policy is None or not call.agreed("changing", name=policy.name):
        return ()
    call.touched = policy.name
    before = PolicyRow(policy)
    changed = {name: value for name, value in _given(call, policy).items() if getattr(before, name) != value}
    becomes_default = _default_flag(call) is True and not policy.is_default
    if not changed and not becomes_default:
        call.warn("nothing-changed", identity=policy.name)
    if changed:
        policy = call.view.change_policy(policy, settings={**policy.settings, **changed})
    _make_default(call, policy)
    return ()


def remove_policy(call: Call) -> Iterable[object]:
    """Remove-MobileDeviceMailboxPolicy: not the default one; one in use only after asking, or with ``-Force``."""
    policy = _policy(call)
    if policy is None:
        return ()
    if policy.is_default:
        call.fail(errors.default_policy(call.cmdlet.name, policy.name))
        return ()
    users = [box for box in call.view.mailboxes if box.policy == policy.name]
    if not call.agreed("removing", name=policy.name):
        return ()
    if users and not call.arguments.values.get("Force") and not call.asked("policy-in-use", name=policy.name):
        return ()
    call.touched = policy.name
    for box in users:
        call.organization.view(box.domain.controllers[0]).change_mailbox(box, policy="Default")
    call.view.remove_policy(policy)
    return ()


def _given(call: Call, policy: MailboxPolicy) -> dict[str, Any]:
    """The settings of the call, by today's names."""
    given = {}
    row = PolicyRow(policy)
    for setting in SETTINGS:
        name = setting.old_name if _is_old(call) else setting.name
        if name in call.arguments.values:
            value = call.arguments.values[name]
            given[setting.name] = value.applied(getattr(row, setting.name)) if isinstance(value, Multi) else value
    return given


def _default_flag(call: Call) -> bool | None:
    values = call.arguments.values
    found: bool | None = values.get(IS_DEFAULT, values.get(IS_DEFAULT_OLD))
    return found


def _make_default(call: Call, policy: MailboxPolicy) -> MailboxPolicy:
    """Let the policy be the default one, if the call says so: there is one at a time."""
    if not _default_flag(call) or policy.is_default:
        return policy
    for other in call.view.policies:
        if other.is_default:
            call.view.change_policy(other, is_default=False)
    return call.view.change_policy(policy, is_default=True)


def _parameters(*, old: bool) -> tuple[Parameter, ...]:
    flags = (Parameter(IS_DEFAULT_OLD, "Boolean"), Parameter(IS_DEFAULT, "Boolean", since="2013"))
    return (
        *(Parameter(one.old_name if old else one.name, one.type, since=one.since) for one in SETTINGS),
        *(flags if old else flags[1:]),
        *WRITING,
    )


def _declared(noun: str, since: str, *, old: bool) -> Iterable[Cmdlet]:
    """The four cmdlets of one naming scheme."""
    shape = configuration_shapes.ACTIVESYNC_POLICY if old else configuration_shapes.MOBILE_POLICY
    identity = target("MailboxPolicyIdParameter")
    force = Parameter("Force", "SwitchParameter")
    named = Parameter("Name", required=True, position=0)
    yield Cmdlet(f"Get-{noun}", get_policies, (IDENTITY, CONTROLLER), shape, since=since)
    yield Cmdlet(f"New-{noun}", new_policy, (named, *_parameters(old=old)), shape, since=since)
    yield Cmdlet(f"Set-{noun}", set_policy, (identity, *_parameters(old=old)), since=since)
    yield Cmdlet(f"Remove-{noun}", remove_policy, (identity, force, *WRITING), asks=True, since=since)


CMDLETS = (
    *_declared("ActiveSyncMailboxPolicy", "", old=True),
    *_declared("MobileDeviceMailboxPolicy", "2013", old=False),
)

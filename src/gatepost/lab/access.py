"""The access engine: what Exchange decides about a phone that asks for mail, in the documented order.

1. The phone has signed in. 2. ActiveSync is off for the mailbox: refused before anything is recorded. 3. The mailbox
policy is not met: blocked. 4. Its id is in the mailbox's blocked list. 5. Its id is in the allowed list. 6. to 8. A
device access rule blocks, quarantines or allows; the text is compared exactly. 9. The organization's default.

What holds for a while: after its mailbox moved a phone is let in until it is known again, and a new one is in discovery
until it has said what it is. Both come after the lists, which need no more than the id. A phone that is blocked for its
behaviour is so before they are read, though nobody has verified that.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from operator import attrgetter

from gatepost.lab.names import key
from gatepost.lab.rows import AccessRule, Configuration, Handset, Mailbox

DISCOVERY = 14 * 60
"""The longest that a phone is in discovery, in seconds."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state and reason in Exchange's words; the rule's name where a rule decided."""

    state: str
    reason: str
    rule: str | None = None


POLICY = Verdict("Blocked", "Policy")
LISTED_BLOCKED = Verdict("Blocked", "Individual")
LISTED_ALLOWED = Verdict("Allowed", "Individual")
UPGRADE = Verdict("Allowed", "Upgrade")
DISCOVERING = Verdict("DeviceDiscovery", "Global")
_STATES = {"Block": "Blocked", "Quarantine": "Quarantined", "Allow": "Allowed"}
"""Each access level with the state that it gives, the strictest first."""
_CHARACTERISTICS = {
    "DeviceType": attrgetter("device_type"),
    "DeviceModel": attrgetter("model"),
    "DeviceOS": attrgetter("os"),
    "UserAgent": attrgetter("user_agent"),
}
"""What rules look at; no phone of the lab sends the header of ``XMSWLHeader``, so its rules never match."""


class RuleBook:
    """The rules, the default and the mailbox policies, made ready for many phones. Steps 3 and 6 to 9."""

    def __init__(self, rules: Iterable[AccessRule], default_level: str, strict: Container[str | None] = ()) -> None:
        self._strict = strict
        self._default = Verdict(_STATES[default_level], "Global")
        levels = tuple(_STATES)
        self._rules = sorted(rules, key=lambda rule: levels.index(rule.level))
        self._known: dict[Handset, Verdict] = {}

    @classmethod
    def of(cls, configuration: Configuration) -> "RuleBook":
        """The book of a configuration. A mailbox without a policy of its own has the default one."""
        strict: set[str | None] = set()
        for policy in configuration.policies.values():
            if not policy.settings.get("AllowNonProvisionableDevices", True):
                strict.update((policy.name, None) if policy.is_default else (policy.name,))
        return cls(configuration.rules.values(), configuration.settings.default_level, strict)

    def met(self, policy: str | None, handset: Handset) -> bool:
        """Whether a phone meets a mailbox policy: one that cannot apply it is refused where the policy says so."""
        return handset.provisionable or policy not in self._strict

    def judge(self, handset: Handset) -> Verdict:
        """What rules and default say; phones that say the same of themselves get the same."""
        verdict = self._known.get(handset)
        if verdict is None:
            verdict = self._known[handset] = self._first(handset)
        return verdict

    def _first(self, handset: Handset) -> Verdict:
        for rule in self._rules:
            said = _CHARACTERISTICS.get(rule.characteristic)
            if said is not None and said(handset) == rule.query:
                return Verdict(_STATES[rule.level], "DeviceRule", rule.name)
        return self._default


def decide(
    mailbox: Mailbox, device_id: str, handset: Handset, book: RuleBook, passing: Verdict | None = None
) -> Verdict | None:
    """What becomes of a phone; None: refused with what is recorded left as it is.

    ``passing`` is the verdict that holds for a while: ``DISCOVERING``, ``UPGRADE``, or blocked for its behaviour.
    """
    if not mailbox.enabled:
        return None
    if passing is not None and passing.state == "Blocked":
        return passing
    if not book.met(mailbox.policy, handset):
        return POLICY
    if mailbox.blocked and _listed(device_id, mailbox.blocked):
        return LISTED_BLOCKED
    if mailbox.allowed and _listed(device_id, mailbox.allowed):
        return LISTED_ALLOWED
    return passing or book.judge(handset)


def _listed(device_id: str, entries: tuple[str, ...]) -> bool:
    wanted = key(device_id)
    return any(key(entry) == wanted for entry in entries)

"""The access engine: each step of the documented order, and what holds whatever the rules."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.lab.access import DISCOVERING, UPGRADE, RuleBook, Verdict, decide
from gatepost.lab.catalogue import LINES
from gatepost.lab.rows import (
    AccessRule,
    Configuration,
    Domain,
    Handset,
    Mailbox,
    MailboxPolicy,
    MobileSettings,
    unknown,
)

DOMAIN = Domain("lab.example", "LAB", "Users", ("dc1.lab.example",))
PHONE = LINES["iphone"].handsets[0]
OLD = replace(PHONE, client_version="12.0")
STATES = {"Block": "Blocked", "Quarantine": "Quarantined", "Allow": "Allowed"}
CHARACTERISTICS = {
    "DeviceType": PHONE.device_type,
    "DeviceModel": PHONE.model,
    "DeviceOS": PHONE.os,
    "UserAgent": PHONE.user_agent,
}


ID = ("ID",)


def mailbox(
    *,
    enabled: bool = True,
    policy: str | None = "Default",
    allowed: tuple[str, ...] = (),
    blocked: tuple[str, ...] = (),
) -> Mailbox:
    """A mailbox with these lists."""
    box = Mailbox("g", "Anna", "anna", "Anna", DOMAIN, "UserMailbox", "EX1", 0, 0, "anna@example.com")
    box.enabled, box.policy, box.allowed, box.blocked = enabled, policy, allowed, blocked
    return box


def rule(level: str, characteristic: str = "DeviceType", query: str | None = None) -> AccessRule:
    """A rule that matches the phone unless it has another text."""
    text = query if query is not None else CHARACTERISTICS[characteristic] or ""
    return AccessRule(f"{text} ({characteristic})", text, characteristic, level)


def book(*rules: AccessRule, default: str = "Allow", strict: tuple[str | None, ...] = ()) -> RuleBook:
    """Rules, and what holds without them."""
    return RuleBook(rules, default, strict)


ALL_RULES = (rule("Allow"), rule("Quarantine", "DeviceOS"), rule("Block", "DeviceModel"))


@pytest.mark.parametrize(
    ("box", "handset", "rules", "passing", "expected"),
    [
        pytest.param(
            mailbox(enabled=False, allowed=ID, blocked=ID), OLD, book(*ALL_RULES), None, None, id="2 switched off"
        ),
        pytest.param(
            mailbox(policy="Strict", allowed=ID),
            OLD,
            book(*ALL_RULES, strict=("Strict",)),
            Verdict("Blocked", "RecentCommands"),
            ("Blocked", "RecentCommands"),
            id="behaviour before 3 and 5",
        ),
        pytest.param(
            mailbox(policy="Strict", allowed=ID, blocked=ID),
            OLD,
            book(*ALL_RULES, strict=("Strict",)),
            None,
            ("Blocked", "Policy"),
            id="3 policy not met",
        ),
        pytest.param(
            mailbox(policy="Strict", allowed=ID),
            PHONE,
            book(strict=("Strict",)),
            None,
            ("Allowed", "Individual"),
            id="3 policy met by a phone that can apply it",
        ),
        pytest.param(
            mailbox(allowed=ID, blocked=ID),
            PHONE,
            book(*ALL_RULES),
            None,
            ("Blocked", "Individual"),
            id="4 before 5",
        ),
        pytest.param(
            mailbox(allowed=("x", "id")),
            PHONE,
            book(*ALL_RULES, default="Block"),
            None,
            ("Allowed", "Individual"),
            id="5 before 6: allowed list",
        ),
        pytest.param(mailbox(blocked=ID), PHONE, book(), UPGRADE, ("Blocked", "Individual"), id="4 before an upgrade"),
        pytest.param(
            mailbox(allowed=ID), PHONE, book(), DISCOVERING, ("Allowed", "Individual"), id="5 before discovery"
        ),
        pytest.param(mailbox(), PHONE, book(*ALL_RULES), UPGRADE, ("Allowed", "Upgrade"), id="an upgrade before 6"),
        pytest.param(
            mailbox(), PHONE, book(*ALL_RULES), DISCOVERING, ("DeviceDiscovery", "Global"), id="discovery before 6"
        ),
        pytest.param(
            mailbox(allowed=("other",)), PHONE, book(*ALL_RULES), None, ("Blocked", "DeviceRule"), id="6 before 7 and 8"
        ),
        pytest.param(
            mailbox(), PHONE, book(*ALL_RULES[:2]), None, ("Quarantined", "DeviceRule"), id="7 before 8: quarantine"
        ),
        pytest.param(
            mailbox(),
            PHONE,
            book(rule("Allow"), default="Block"),
            None,
            ("Allowed", "DeviceRule"),
            id="8 before 9",
        ),
        pytest.param(mailbox(), PHONE, book(), None, ("Allowed", "Global"), id="9 default allow"),
        pytest.param(mailbox(), PHONE, book(default="Quarantine"), None, ("Quarantined", "Global"), id="9 quarantine"),
        pytest.param(mailbox(), PHONE, book(default="Block"), None, ("Blocked", "Global"), id="9 default block"),
    ],
)
def test_the_order_is_the_documented_one(
    box: Mailbox, handset: Handset, rules: RuleBook, passing: Verdict | None, expected: tuple[str, str] | None
) -> None:
    """Each step decides before those after it, also where they would say otherwise."""
    verdict = decide(box, "ID", handset, rules, passing)
    assert (verdict and (verdict.state, verdict.reason)) == expected


@pytest.mark.parametrize("characteristic", CHARACTERISTICS)
@pytest.mark.parametrize("level", STATES)
def test_rules_compare_the_whole_text(characteristic: str, level: str) -> None:
    """A rule matches its characteristic only, exactly, without wildcards; and it is named."""
    text = CHARACTERISTICS[characteristic] or ""
    default = "Quarantine" if level != "Quarantine" else "Allow"
    made = rule(level, characteristic)
    assert book(made, default=default).judge(PHONE) == Verdict(STATES[level], "DeviceRule", made.name)
    for near in (text[:-1], text + " ", text.swapcase(), "*", text[:3] + "*", ""):
        assert book(rule(level, characteristic, near), default=default).judge(PHONE).reason == "Global"
    other = {"DeviceType": "DeviceModel", "DeviceModel": "DeviceOS", "DeviceOS": "UserAgent", "UserAgent": "DeviceType"}
    assert book(rule(level, other[characteristic], text), default=default).judge(PHONE).reason == "Global"


def test_a_header_that_no_phone_sends_never_matches() -> None:
    """Rules on XMSWLHeader are there and match nobody."""
    assert book(rule("Block", "XMSWLHeader", "")).judge(PHONE) == Verdict("Allowed", "Global")


def test_in_discovery_rules_on_what_is_not_known_wait() -> None:
    """Model and system are missing: only the type can match."""
    hidden = unknown(PHONE)
    assert book(*ALL_RULES).judge(hidden) == Verdict("Allowed", "DeviceRule", ALL_RULES[0].name)
    assert book(*ALL_RULES[1:]).judge(hidden).reason == "Global"


def test_policies_and_default_come_from_the_configuration() -> None:
    """A mailbox without a policy of its own has the default policy."""
    configuration = Configuration(MobileSettings("s", default_level="Quarantine"))
    configuration.put(MailboxPolicy("House", True, {"AllowNonProvisionableDevices": False}))
    configuration.put(MailboxPolicy("Guests", False, {"AllowNonProvisionableDevices": True}))
    configuration.put(rule("Allow", "DeviceModel"))
    made = RuleBook.of(configuration)
    blocked = Verdict("Blocked", "Policy")
    assert decide(mailbox(policy="House"), "ID", OLD, made) == blocked
    assert decide(mailbox(policy=None), "ID", OLD, made) == blocked
    assert decide(mailbox(policy="Guests"), "ID", OLD, made) == Verdict(
        "Allowed", "DeviceRule", f"{PHONE.model} (DeviceModel)"
    )
    assert decide(mailbox(policy="House"), "ID", replace(PHONE, model="M"), made) == Verdict("Quarantined", "Global")


rules_of_any_kind = st.lists(
    st.builds(
        rule,
        st.sampled_from(list(STATES)),
        st.sampled_from(list(CHARACTERISTICS)),
        st.none() | st.sampled_from(["iPhone", "other", ""]),
    ),
    max_size=6,
)


@given(rules_of_any_kind, st.randoms(), st.sampled_from(list(STATES)))
def test_the_order_in_which_rules_were_made_does_not_matter(
    rules: list[AccessRule], chance: Random, default: str
) -> None:
    """The strictest rule that matches decides, else the default."""
    mixed = list(rules)
    chance.shuffle(mixed)
    verdict = book(*rules, default=default).judge(PHONE)
    assert book(*mixed, default=default).judge(PHONE).state == verdict.state
    matching = {made.level for made in rules if CHARACTERISTICS[made.characteristic] == made.query}
    strictest = next((level for level in STATES if level in matching), default)
    assert (verdict.state, verdict.reason) == (STATES[strictest], "DeviceRule" if matching else "Global")


@given(rules_of_any_kind, st.sampled_from(list(STATES)), st.sampled_from([None, DISCOVERING, UPGRADE]))
def test_lists_decide_whatever_the_rules(rules: list[AccessRule], default: str, passing: Verdict | None) -> None:
    """An entry for the id is stronger than rules, default and what is passing; the blocked list is the stronger one."""
    made = book(*rules, default=default)
    assert decide(mailbox(allowed=ID), "ID", PHONE, made, passing) == Verdict("Allowed", "Individual")
    assert decide(mailbox(allowed=ID, blocked=ID), "ID", PHONE, made, passing) == Verdict("Blocked", "Individual")

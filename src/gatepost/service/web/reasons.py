"""The console's words for what is decided and why: a short name and one sentence for each reason of a decision.

A name fits into a chart or a list; the sentence says to an administrator what it means, whatever the level is. What the
device's own person is told is another text, in the notices.
"""

from gatepost.service.web.i18n import N_

REASON_NAMES = {
    "pinned": N_("Pinned"),
    "gone": N_("Gone from Exchange"),
    "no-mailbox": N_("No mailbox in view"),
    "elsewhere": N_("Mailbox is elsewhere"),
    "no-id": N_("No device ID"),
    "policy-off": N_("The policy is off"),
    "excluded": N_("Excluded group"),
    "not-included": N_("Not in an included group"),
    "person-unknown": N_("Person not known"),
    "rule": N_("A rule"),
    "cloud-cache": N_("Outlook through its cloud"),
    "discovering": N_("Being identified"),
    "compliant": N_("Complies"),
    "pre-approved": N_("Allowed ahead"),
    "known": N_("Known before"),
    "unmanaged": N_("Not managed"),
    "unmanaged-grace": N_("Not managed, in its grace period"),
    "noncompliant": N_("Does not comply"),
    "noncompliant-grace": N_("Does not comply, in its grace period"),
    "ambiguous": N_("Compliance unclear"),
    "stale": N_("Compliance source is silent"),
    "no-source": N_("No compliance source"),
}
"""By ``domain.access.Reason``."""

REASON_SENTENCES = {
    "pinned": N_("An administrator pinned it, which goes before the policy."),
    "gone": N_("It is no longer in Exchange."),
    "no-mailbox": N_("Exchange shows no mailbox for it, so there is no list that could hold it."),
    "elsewhere": N_("Its mailbox moved away or was disabled, so Exchange keeps no list here that could hold it."),
    "no-id": N_("It has no ID that a list could hold."),
    "policy-off": N_("The policy is switched off, so Gatepost leaves its hands off."),
    "excluded": N_("Its person is in a group that the policy excludes, so Gatepost leaves its hands off."),
    "not-included": N_(
        "Its person is in none of the groups that the policy includes, so Gatepost leaves its hands off."
    ),
    "person-unknown": N_(
        "The directory does not know its person, so nobody can tell whether the policy or one of its rules speaks of "
        "them. Gatepost leaves its hands off."
    ),
    "rule": N_("A rule of the policy speaks of it."),
    "cloud-cache": N_(
        "Outlook's cloud stands for all phones of its person, so it has the level that the policy gives to that cloud."
    ),
    "discovering": N_(
        "Exchange has not said yet what it is, and a rule of the policy waits for that. Gatepost leaves its hands off."
    ),
    "compliant": N_("It is managed and complies."),
    "pre-approved": N_("It is managed and complies, and may have mail before its first synchronisation."),
    "known": N_("It was there before the policy began, and keeps access for as long as the policy says."),
    "unmanaged": N_("No compliance source knows it: it is not managed."),
    "unmanaged-grace": N_("It is not managed, and keeps access until its grace period ends."),
    "noncompliant": N_("It is managed and does not comply."),
    "noncompliant-grace": N_("It does not comply any more, and keeps access until its grace period ends."),
    "ambiguous": N_(
        "The compliance sources have no verdict on it or contradict each other. Gatepost leaves its hands off."
    ),
    "stale": N_("The compliance source has been silent for too long. Gatepost leaves its hands off."),
    "no-source": N_("There is no compliance source that could say whether it complies. Gatepost leaves its hands off."),
}
"""By ``domain.access.Reason``; docs/policy.md has the table behind them."""

KEPT = {
    "stale": N_("This was decided before, and stays while the compliance source is silent."),
    "ambiguous": N_("This was decided before, and stays while the compliance sources have no clear verdict."),
}
"""By the input ``kept`` of a decision: why one that was taken before still stands."""

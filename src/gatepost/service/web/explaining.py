"""How it stands with a device's access, in sentences: what its result means, and what helps."""

from gatepost.domain.desired import Entry, ListName, Result
from gatepost.service.access import Standing
from gatepost.service.web.i18n import N_

WAITING = N_(
    "The connector has not said anything of this yet. It mostly does within seconds, and this page follows by itself."
)
OPPOSED = N_(
    "The last inventory saw this device in the mailbox's opposite list, by somebody else's hand. The connector reads "
    "the lists before it writes, and stops if that is still so."
)
WITHDRAWN = N_("The connector took our entry off the mailbox's list and read it back.")
PRESUMED = N_(
    "Gatepost very probably made this device's entry in the mailbox's list, but the connector's record of it was lost. "
    "If so, nothing is to be done. If an administrator made it, remove the pin, then make the entry anew in Exchange."
)
IN_THE_WAY = {
    ListName.ALLOW: N_(
        "The mailbox's list of allowed devices names this device by somebody else's hand, so nothing was written. Take "
        "it off that list in Exchange, or change the pin or the policy."
    ),
    ListName.BLOCK: N_(
        "The mailbox's list of blocked devices names this device by somebody else's hand, so nothing was written. Take "
        "it off that list in Exchange, or change the pin or the policy."
    ),
}
RESULTS = {
    Result.APPLIED: N_("The connector wrote to the mailbox's list and read it back."),
    Result.UNCHANGED: N_("The mailbox's lists were so already, and nothing had to be written."),
    Result.CONFLICT: N_(
        "What stands in the mailbox's lists of this device contradicts what is desired, so nothing was written. Put "
        "the lists in order in Exchange, or change the pin or the policy."
    ),
    Result.REFUSED: N_(
        "Exchange denies the connector's account this write. Give the account the role that the administrator's guide "
        "names; it is tried again by itself."
    ),
    Result.FAILED: N_("The write did not succeed. It is tried again by itself."),
    Result.UNCERTAIN: N_("A write was begun, and nobody knows its end yet. The next reading of the mailbox tells."),
    Result.OBSERVED: N_("The connector would change this, and only observes."),
    Result.OUT_OF_SCOPE: N_(
        "This mailbox is outside of the connector's scope, so it keeps what it has. A local administrator widens the "
        "scope in the connector's settings."
    ),
    Result.CEILING: N_(
        "The connector's ceiling of writes that take access away is reached. It goes on when the hour is over; see "
        "first that so many people are to lose access."
    ),
    Result.UNDONE: N_(
        "Somebody else undid what the connector wrote, again and again, so it writes this no more for a day. Find the "
        "other tool that writes this mailbox's lists; a level that is published anew is written at once."
    ),
}
WITH_DETAIL = frozenset({Result.APPLIED, Result.REFUSED, Result.FAILED, Result.UNCERTAIN, Result.CONFLICT})
"""Of the others our sentence says all that the connector does."""


def explain(standing: Standing) -> str:
    """What the connector's last word on a device means, as a text to be translated."""
    if standing.result is None:
        return OPPOSED if standing.opposed else WAITING
    if standing.result is Result.APPLIED and standing.entry is Entry.NONE:
        return WITHDRAWN
    if standing.result is Result.CONFLICT and standing.in_the_way:
        return IN_THE_WAY[standing.in_the_way]
    return RESULTS[standing.result]


def detail(standing: Standing) -> str:
    """What the connector adds, in its own words; empty where it would say the same again."""
    said = standing.result is Result.CONFLICT and standing.in_the_way
    return standing.why if standing.result in WITH_DETAIL and not said else ""

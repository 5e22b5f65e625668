"""What is decided, published and applied of devices: the decision's facts, its guard, its holds, desired rows."""

from gatepost.service.access.publishing import (
    LONGEST_ID,
    ORIGIN,
    PRESUMED,
    Limits,
    Pin,
    Publication,
    Standing,
    limits,
    lock_head,
    publish,
    publish_again,
    publish_all,
    review,
    reword,
    standing,
    standing_of,
)

__all__ = [
    "LONGEST_ID",
    "ORIGIN",
    "PRESUMED",
    "Limits",
    "Pin",
    "Publication",
    "Standing",
    "limits",
    "lock_head",
    "publish",
    "publish_again",
    "publish_all",
    "review",
    "reword",
    "standing",
    "standing_of",
]

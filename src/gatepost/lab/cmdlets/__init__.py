"""The cmdlets of the lab: for each a function and one declaration, in the module of what it is about.

A function gets a ``Call`` and gives the rows that come out; their shape stands in the declaration.
"""

from gatepost.lab.binding import Cmdlet
from gatepost.lab.cmdlets import devices, policies, recipients, rules, session, settings, wiping

CMDLETS: tuple[Cmdlet, ...] = (
    *session.CMDLETS,
    *recipients.CMDLETS,
    *devices.CMDLETS,
    *wiping.CMDLETS,
    *settings.CMDLETS,
    *rules.CMDLETS,
    *policies.CMDLETS,
)
"""Everything that a session may be granted. ``Select-Object`` stands behind a cmdlet and is bound in ``pipelines``."""

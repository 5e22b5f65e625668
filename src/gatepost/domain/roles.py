"""The roles that an administrator may have; what each may do stands in the console's table of permissions."""

from collections.abc import Iterable
from enum import StrEnum

from gatepost.errors import ServiceError


class Role(StrEnum):
    """Every role there is, from the least to the most."""

    READER = "reader"
    HELPDESK = "helpdesk"
    OPERATOR = "operator"
    POLICY_AUTHOR = "policy-author"
    APPROVER = "approver"
    ADMINISTRATOR = "administrator"


APPROVERS = frozenset({Role.APPROVER, Role.ADMINISTRATOR})
"""Whoever has one of these may decide approvals."""


def known(names: Iterable[str]) -> list[str]:
    """Roles by their names, in the order of the table, each once. Raises ServiceError for an unknown one or none."""
    wanted = set(names)
    unknown = wanted - set(Role)
    if unknown or not wanted:
        cause = f"There is no role {', '.join(sorted(unknown))}." if unknown else "An administrator needs a role."
        raise ServiceError(cause, f"Choose from {', '.join(Role)}.")
    return [role.value for role in Role if role in wanted]

"""An explanation as JSON values, for the API and the report."""

from collections.abc import Mapping
from typing import Any

from gatepost.domain.access import Decision
from gatepost.domain.contract import iso
from gatepost.domain.engine import Verdict
from gatepost.service.explanation import Explanation


def explained(why: Explanation) -> dict[str, Any]:
    """What an explanation says."""
    decision = why.decision
    return {
        "decision": {
            **decided(decision),
            "inputs": dict(decision.inputs),
            "rule": decision.rule,
            "policy_version": why.version,
            "since": iso(why.since),
            "until": iso(decision.until),
            "review_at": iso(decision.review_at),
        }
        if decision
        else None,
        "would_be": decided(why.would),
        "due": why.due,
        "held": {"hold_id": str(why.hold_id), "state": why.hold_state} if why.held else None,
        "beyond": why.beyond,
        "exchange": {
            "now": judged(why.now),
            "as_decided": judged(why.wanted),
            "reported": why.reported.value if why.reported else None,
        },
        "would_change_it": [
            {
                "what": each.what.value,
                "at": iso(each.at),
                "after_seconds": int(each.after.total_seconds()) if each.after else None,
                **decided(each.decision),
            }
            for each in why.prospects
        ],
    }


def decided(decision: Decision) -> Mapping[str, str]:
    """A decision's level and reason."""
    return {"level": decision.level.value, "reason": decision.reason.value}


def judged(verdict: Verdict) -> Mapping[str, Any]:
    """What the engine says, with its steps in order."""
    path = [step.value for step in verdict.path]
    return {"state": verdict.state.value, "decided_by": verdict.reason.value, "rule": verdict.rule, "path": path}

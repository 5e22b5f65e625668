"""Patterns of policies found in a column, all together."""

from gatepost.domain.policies import read_policy
from gatepost.service.policies.patterns import find, patterns_of


def test_patterns_of_two_whole_policies_are_found_together() -> None:
    """As many as two policies may have, in one pass over a column, for the preview."""

    def policy(more: str) -> list[str]:
        rules = [
            {"id": str(n), "name": "x", "level": "block", "when": {"user": f"(?:[a-z]{{50}}){{3}}{n}{more}"}}
            for n in range(40)
        ]
        return patterns_of([read_policy({"rules": rules})], "user")

    found = find([*policy("x"), *policy("y")], ["a" * 150 + "39y", "b"])
    assert (list(found.texts), list(found.classes)) == (["a" * 150 + "39y"], [1])

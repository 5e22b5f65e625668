"""Switching the default level last: who loses and gains by it, who approves, and the way back."""

import pytest

from gatepost.domain.wishes import WishName
from gatepost.errors import Problem
from gatepost.service import wishes
from gatepost.service.onboarding import switching
from gatepost.service.onboarding.switching import Preview, Switch
from tests.service.conftest import Look
from tests.service.onboarding.conftest import ANNA, Site
from tests.service.test_removal import known_person

OPEN = {"default_level": "Allow", "rules": []}


def look_at(site: Site, level: str = "block") -> Preview:
    """The preview."""
    return site.act(lambda scope: switching.preview(scope, site.organization, level))


def ask(site: Site, level: str = "block", digest: str | None = None) -> Switch:
    """Switch, as the preview showed."""
    seen = look_at(site, level).digest if digest is None else digest
    return site.act(lambda scope: switching.ask(scope, site.organization, level, seen, ANNA))


def wished(site: Site) -> str | None:
    """The default level that is wished of Exchange and not there yet."""
    known = site.act(lambda scope: wishes.standing(scope, site.organization))[WishName.DEFAULT_LEVEL]
    return known.wished if known.open else None


def test_only_whom_the_default_decides_loses_by_it(site: Site) -> None:
    """A device on a list keeps what the list gives; eight devices are four people, of whom one is on a list twice."""
    site.lists({"allowed_ids": ["DEV00000", "DEV00001"]}, **OPEN)
    seen = look_at(site)
    assert (seen.was, seen.effect.losing, seen.effect.gaining, len(seen.devices)) == ("allow", 3, 0, 6)
    assert not seen.held


def test_what_cannot_be_read_does_not_hide_whom_a_switch_concerns(site: Site, look: Look) -> None:
    """Without rules, and with lists that are not shown, everybody whom the default may decide counts: it is held."""
    look("INSERT INTO guard_settings (take) VALUES (3)")
    site.lists({"allowed_ids": None, "blocked_ids": None}, default_level="Allow", rules=None)
    seen = look_at(site)
    assert (seen.unread, seen.effect.losing, seen.held) == (True, 4, True)
    assert (ask(site).state, wished(site)) == ("asked", None)


def test_within_the_budget_it_is_wished_at_once_and_counted(site: Site, look: Look) -> None:
    """Whom it takes access from counts in the window, as by any other cause."""
    site.lists(**OPEN)
    made = ask(site)
    assert (made.state, made.losing, wished(site)) == ("wished", 4, "block")
    assert look("SELECT count(*) FROM budget_uses WHERE verb = 'take'") == [{"count": 4}]


def test_beyond_the_budget_another_administrator_approves_what_was_seen(site: Site, look: Look) -> None:
    """Whoever asks does not approve, and another effect than the one that was asked for is refused."""
    look("INSERT INTO guard_settings (take) VALUES (1)")
    site.lists(**OPEN)
    assert look_at(site).held
    made = ask(site)
    assert (made.state, wished(site)) == ("asked", None)
    with pytest.raises(Problem) as refused:
        ask(site)
    assert refused.value.type == "switch-waits"
    bert = known_person(site.writer, look, "bert")

    def approve(digest: str) -> Switch:
        return site.act(lambda scope: switching.approve(scope, site.organization, digest, bert))

    with pytest.raises(Problem) as changed:
        approve("other")
    assert changed.value.type == "preview-changed"
    done = approve(made.digest)
    assert (done.state, done.approved_by, wished(site)) == ("wished", "bert", "block")


def test_a_switch_that_waits_is_dropped(site: Site, look: Look) -> None:
    """Nothing is wished, and nothing waits any more."""
    look("INSERT INTO guard_settings (take) VALUES (0)")
    site.lists(**OPEN)
    ask(site)
    dropped = site.act(lambda scope: switching.drop(scope, site.organization, ANNA))
    assert (dropped.state, wished(site)) == ("dropped", None)
    with pytest.raises(Problem, match="No switch of the default level waits"):
        site.act(lambda scope: switching.drop(scope, site.organization, ANNA))


def test_the_way_back_is_one_step(site: Site) -> None:
    """Not carried out: withdrawn. Carried out: wished the other way."""

    def back() -> Switch:
        return site.act(lambda scope: switching.go_back(scope, site.organization, ANNA))

    site.lists(**OPEN)
    with pytest.raises(Problem) as nowhere:
        back()
    assert nowhere.value.type == "not-switched"
    ask(site)
    back()
    assert wished(site) is None
    ask(site)
    site.lists(default_level="Block", rules=[])
    assert back().level == "allow"
    assert wished(site) == "allow"


def test_what_cannot_be_switched_is_refused_with_why(site: Site) -> None:
    """Another word, the same level, a preview that is old, and a default that nobody read."""
    with pytest.raises(Problem, match="was not read yet"):
        look_at(site)
    site.lists(**OPEN)
    for level, type_ in (("maybe", "malformed"), ("allow", "same-level")):
        with pytest.raises(Problem) as refused:
            look_at(site, level)
        assert refused.value.type == type_
    with pytest.raises(Problem) as changed:
        ask(site, digest="old")
    assert changed.value.type == "preview-changed"

"""Stories that hypothesis makes up of the laws in ``story.py``; a fixed choice of them in the suite."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from gatepost.domain.desired import ListName
from tests.connector.hall import NEAR
from tests.fire.office import House
from tests.fire.site import DEVICES
from tests.fire.story import Fire


def burn(built: House, examples: int, steps: int, *, seeded: bool = True) -> None:
    """So many stories of so many events."""
    told = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=seeded,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Fire.within(built), settings=told)


@pytest.mark.timeout(300)
def test_nobody_is_cut_off_unasked_and_everything_converges(built: House) -> None:
    """The same stories each time."""
    burn(built, 8, 40)


def test_a_group_change_that_would_cut_somebody_off_is_held(built: House) -> None:
    """Hands off under a closed default is a loss: who comes into the excluded group keeps mail until it is approved."""
    fire = Fire.within(built)()
    fire.begin(coupled=False, delay=0.0)
    fire.budget(take=0, give=100)
    fire.policy("excluding", None)
    fire.group(excluded=True, killed=None)
    assert fire.office.decided() == dict.fromkeys(DEVICES, ("leave", "excluded"))
    assert (fire.office.published(), fire.office.held()) == (dict.fromkeys(DEVICES, "allow"), set(DEVICES))
    fire.work("", "")
    assert fire.site.directory.by_us == {(ListName.ALLOW, name) for name in DEVICES}
    fire.answer(approved=True, killed=None)
    fire.work("", "")
    assert (fire.office.published(), fire.site.directory.by_us) == (dict.fromkeys(DEVICES, "leave"), set())
    fire.teardown()


def test_while_the_service_is_away_nothing_is_written(built: House) -> None:
    """What was published and heard waits once the lease has run out, and is written when the service is back."""
    fire = Fire.within(built)()
    fire.begin(coupled=False, delay=0.0)
    fire.pin("d1", "block")
    fire.check_in("", None, complete=True)
    standing, written = set(fire.site.directory.by_us), len(fire.site.directory.writes)
    fire.mishap("away")
    for _ in range(2):
        fire.pass_time(61.0)
        fire.run("")
        assert (fire.site.directory.by_us, len(fire.site.directory.writes)) == (standing, written)
    fire.mishap("back")
    fire.work("", "")
    assert fire.site.directory.by_us == {(ListName.BLOCK, "d1"), (ListName.ALLOW, "d2")}
    assert len(fire.site.directory.writes) == written + 1
    fire.teardown()


def test_hands_are_taken_off_what_is_ours_alone(built: House) -> None:
    """Where nothing is wanted any more our entries go, and an administrator's stay, also of the same phone."""
    fire = Fire.within(built)()
    fire.begin(coupled=False, delay=0.0)
    theirs = {(ListName.BLOCK, "d1"), (ListName.ALLOW, "d3")}
    for which, name in theirs:
        fire.edit(NEAR, which, name, there=True)
    fire.policy("excluding", None)
    fire.group(excluded=True, killed=None)
    fire.work("", "")
    assert fire.office.published() == dict.fromkeys(DEVICES, "leave")
    assert fire.site.directory.lists[NEAR] == fire.site.directory.by_people == theirs
    fire.foreign_entries_stay()
    fire.teardown()


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_hundreds_of_stories_cut_nobody_off_either(built: House) -> None:
    """Other stories each time."""
    burn(built, 400, 40, seeded=False)

"""Stories that hypothesis makes up of the laws in ``story.py``; a fixed choice of them in the suite."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from gatepost.domain.desired import ListName
from tests.fire.office import House
from tests.fire.site import DEVICES
from tests.fire.story import Fire


def burn(built: House, examples: int, steps: int, *, seeded: bool = True) -> None:
    """So many stories of so many events."""
    told = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
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


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_hundreds_of_stories_cut_nobody_off_either(built: House) -> None:
    """Other stories each time."""
    burn(built, 400, 40, seeded=False)

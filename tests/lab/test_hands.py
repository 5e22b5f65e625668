"""Hands: what people do at the lab by lines of JSON, and what they see there."""

import json
from pathlib import Path
from typing import Any

from gatepost.lab.server import Lab
from gatepost.settings import LabSettings


def ask(lab: Lab, **asked: Any) -> dict[str, Any]:
    """One line and its answer."""
    found: dict[str, Any] = json.loads(lab.act(json.dumps(asked)))
    return found


def test_a_phone_is_set_up_and_looked_at() -> None:
    """It is discovered, then what the default makes of it, then what the mailbox's list makes of it."""
    lab = Lab(LabSettings(devices=30))
    assert ask(lab, do="level", level="Quarantine") == {"level": "Quarantine"}
    phone = ask(lab, do="appear", line="iphone", discovery=0)
    lab.organization.finish()
    seen = ask(lab, do="look", device=phone["guid"])
    assert (seen["state"], seen["allowed"], seen["blocked"], seen["writes"]) == ("Quarantined", False, False, [])
    box = lab.organization.find_mailbox(phone["mailbox"])
    assert box is not None
    lab.organization.change_mailbox(box, allowed=(phone["device_id"].lower(),))
    lab.organization.finish()
    seen = ask(lab, do="look", device=phone["guid"])
    assert (seen["state"], seen["reason"], seen["allowed"]) == ("Allowed", "Individual", True)


def test_a_named_mailbox_gets_the_phone() -> None:
    """A second phone of somebody who is there."""
    lab = Lab(LabSettings(devices=30))
    owner = lab.organization.mailboxes[-1].smtp
    assert ask(lab, do="appear", mailbox=owner)["mailbox"] == owner


def test_what_was_done_by_hand_is_done_again_when_the_lab_starts_again(tmp_path: Path) -> None:
    """In its turn and at its time, so that the story after it is the same, too."""
    lab = Lab(LabSettings(devices=30, folder=tmp_path))
    lab.act('{"do": "level", "level": "Block"}')
    phone = ask(lab, do="appear", line="pixel")
    told = [lab.story.step() for _ in range(3)]
    again = Lab(LabSettings(devices=30, folder=tmp_path))
    again.story.replay()
    device = again.organization.find_device(phone["guid"])
    assert device is not None
    assert (device.device_id, again.organization.settings.default_level) == (phone["device_id"], "Block")
    assert device.first_sync == getattr(lab.organization.find_device(phone["guid"]), "first_sync", None)
    assert [again.story.step() for _ in range(3)] == told


def test_what_cannot_be_done_is_said() -> None:
    """Each answer names what is wrong, and the next line is taken all the same."""
    lab = Lab(LabSettings(devices=3))
    assert "level is one of Allow, Quarantine, Block" in ask(lab, do="level", level="Never")["error"]
    assert "there is no mailbox nobody@lab.example" in ask(lab, do="appear", mailbox="nobody@lab.example")["error"]
    assert "there is no device x" in ask(lab, do="look", device="x")["error"]
    assert "error" in json.loads(lab.act("no JSON"))
    assert ask(lab, do="level", level="Block") == {"level": "Block"}

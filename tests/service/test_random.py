"""Documents are lost, doubled, delayed and sent by clones; stores are deleted: the end is what the listing says."""

import random
from typing import Any
from uuid import uuid4

import pytest

from gatepost.domain.contract import DEVICE_COLUMNS, MAILBOX_COLUMNS, Facts, Kind, ListingDigest, Scope, Sync, Table
from tests.fixtures.service import Replica, Service
from tests.service.conftest import Look
from tests.service.speaker import Speaker, device, mailbox

GUID, MODEL = DEVICE_COLUMNS.index("guid"), DEVICE_COLUMNS.index("model")
STEPS = 12


class Unlucky:
    """A connector on a bad line, with a model of what the service must hold in the end."""

    def __init__(self, speaker: Speaker, urls: list[str], seed: int) -> None:
        self.chance = random.Random(seed)
        self.speaker = speaker
        self.urls = urls
        self.sent: list[bytes] = []
        self.devices = {number: device(number) for number in range(30)}
        self.mailboxes = [mailbox(number) for number in range(15)]
        self.known: dict[str, str | None] = {}

    def deliver(self, kind: Kind, **fields: Any) -> dict[str, Any]:
        """Send the next document until it is answered, however often that takes; its answer."""
        speaker, chance = self.speaker, self.chance
        document = speaker.document(kind, speaker.sequence + 1, **fields)
        while True:
            speaker.url = chance.choice(self.urls)
            what = chance.random()
            if len(self.sent) > 1 and what < 0.15:  # delayed somewhere, and overtaken
                assert speaker.send(chance.choice(self.sent[:-1])).json()["type"] == "sequence-gap"
            elif what < 0.3:
                continue  # lost on the way there
            elif what < 0.45:
                assert speaker.send(document).status_code == 200  # lost on the way back
            else:
                answer = speaker.send(document)
                assert answer.status_code == 200, answer.text
                speaker.sequence += 1
                self.sent.append(document)
                said: dict[str, Any] = answer.json()
                if chance.random() < 0.2:
                    assert speaker.send(document).json()["result"] == said["result"]
                return said

    def lose_the_store(self) -> None:
        """A fresh store: sequence 0, adopt what is expected."""
        self.speaker.url = self.chance.choice(self.urls)
        answer = self.speaker.send(self.speaker.document(Kind.CYCLE, 0)).json()
        assert answer["type"] == "sequence-gap"
        self.speaker.sequence = answer["expected"] - 1
        self.sent.clear()

    def live(self) -> None:
        """Phones appear, change and leave."""
        for _ in range(self.chance.randrange(6)):
            number = self.chance.randrange(60)
            if number in self.devices and self.chance.random() < 0.4:
                del self.devices[number]
            else:
                self.devices[number] = device(number, model=f"M{self.chance.randrange(5)}")

    def synchronise(self, scope: Scope) -> None:
        """One synchronisation, perhaps given up in the middle."""
        rows = list(self.devices.values())
        if scope is Scope.QUICK:
            rows = self.chance.sample(rows, len(rows) // 3)
        self.chance.shuffle(rows)
        digest = ListingDigest()
        for row in [*rows, *self.mailboxes]:
            digest.add(row)
        sync_id = str(uuid4())
        sync = Sync(sync_id, scope, devices=len(rows), mailboxes=len(self.mailboxes), digest=digest.hexdigest())
        assert self.deliver(Kind.SYNC_BEGIN, sync=sync)["result"]["state"] == "go"
        facts = [Facts(mailboxes=Table(MAILBOX_COLUMNS, tuple(self.mailboxes)))]
        facts += [Facts(devices=Table(DEVICE_COLUMNS, tuple(rows[at : at + 9]))) for at in range(0, len(rows), 9)]
        for number, part in enumerate(facts, 1):
            if self.chance.random() < 0.05:
                return
            step = Sync(sync_id, scope, part=number)
            assert self.deliver(Kind.SYNC_PART, sync=step, facts=part)["result"]["state"] == "merged"
            self.known |= {row[GUID]: row[MODEL] for row in part.devices.rows}
        assert self.deliver(Kind.SYNC_SEAL, sync=Sync(sync_id, scope))["result"]["state"] == "sealed"
        if scope is Scope.FULL:
            self.known = {row[GUID]: row[MODEL] for row in rows}


@pytest.mark.parametrize("seed", range(4))
def test_a_bad_line_ends_in_the_models_state(
    service: Service, speaker: Speaker, other_replica: Replica, look: Look, seed: int
) -> None:
    """After each step the devices that are there, their models, the words and the counters are those of the model."""
    unlucky = Unlucky(speaker, [service.url, other_replica.url], seed)
    for _ in range(STEPS):
        unlucky.live()
        if unlucky.chance.random() < 0.15:
            unlucky.lose_the_store()
        unlucky.synchronise(unlucky.chance.choice((Scope.FULL, Scope.QUICK)))
        rows = look("SELECT guid::text, model FROM devices WHERE gone_at IS NULL")
        assert {row["guid"]: row["model"] for row in rows} == unlucky.known
    words = look(
        "SELECT d.guid FROM devices d WHERE d.words IS DISTINCT FROM "
        "(SELECT array_agg(w.word ORDER BY w.word) FROM device_words w WHERE w.device_guid = d.guid)"
    )
    assert words == []
    counted = {row["name"]: row["value"] for row in look("SELECT name, value FROM counters WHERE value <> 0")}
    assert counted["devices"] == len(unlucky.known)
    assert counted["mailboxes"] == 15
    assert look("SELECT sequence FROM checkins")[0]["sequence"] == speaker.sequence

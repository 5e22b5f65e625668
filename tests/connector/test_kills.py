"""Killing the connector or the service at random moments loses nothing and doubles nothing.

Real processes, SIGKILL, fixed seeds. While they die and start again, the lab's story goes on; sometimes the connector's
store is deleted too. At the end one more synchronisation must make the database equal to the organization, and the
history of every device must be a chain: each change starts from where the one before it ended.
"""

import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatepost.connector.store import FILE
from gatepost.settings import SyncSettings
from tests.fixtures.database import Cluster
from tests.fixtures.relay import Relay
from tests.fixtures.site import MakeSite, Service, Site

PAUSE = 0.8  # seconds at most, after a synchronisation was sealed: two or three more may be under way or done by then
EARLY = 0.3  # of the kills come while processes still start and find each other again
STORIES = 6  # changes in the organization between two kills
END = 60.0


class Killer:
    """Keeps a connector and replicas of the service going, and kills them."""

    def __init__(self, site: Site, replicas: list[Service], chance: random.Random) -> None:
        self._site = site
        self._replicas = replicas
        self._chance = chance
        self._connector: subprocess.Popen[str] | None = None
        self.deleted = 0

    def start(self) -> None:
        """Start the connector."""
        self._connector = self._site.connector("run")

    def stop(self) -> None:
        """Kill the connector for good."""
        if self._connector is not None:
            self._connector.kill()
            self._connector.communicate()

    def kill(self) -> None:
        """Kill one of them, and start it again."""
        for _ in range(STORIES):
            self._site.lab.story.step()
        if self._chance.random() > EARLY:
            self._wait_for_a_seal()
        time.sleep(self._chance.uniform(0, PAUSE))
        victim = self._chance.choice([None, None, *self._replicas])
        if victim is None:
            self.stop()
            if self._chance.random() < 0.4:
                self._delete_store()
            self.start()
        else:
            victim.kill()
            victim.launch()

    def _wait_for_a_seal(self) -> None:
        """Until it works again, so that the next kill hits work."""
        before = self._sealed()
        end = time.monotonic() + END
        while self._sealed() == before:
            assert time.monotonic() < end, f"nothing is sealed any more:\n{self._site.log()}"
            time.sleep(0.02)

    def _sealed(self) -> int:
        return sum(sync["state"] == "sealed" for sync in self._site.syncs())

    def _delete_store(self) -> None:
        for path in self._site.settings.folder.glob(f"{FILE}*"):
            path.unlink()
            self.deleted += 1


@contextmanager
def replicas_of(postgres: Cluster, folder: Path, count: int) -> Iterator[list[Service]]:
    """Replicas of the service on one fresh database."""
    database = postgres.make()
    replicas: list[Service] = []
    try:
        replicas += [Service(postgres.urls(database), folder).start() for _ in range(count)]
        yield replicas
    finally:
        for replica in replicas:
            replica.kill()
        postgres.drop(database)


def survive(make_site: MakeSite, replicas: list[Service], kills: int, seed: int) -> None:
    """Kill so often, then look."""
    chance = random.Random(seed)
    with Relay([replica.port for replica in replicas], chance) as relay:
        often = SyncSettings(full_every=2.5, quick_every=0.3)
        site = make_site(replicas[0].urls, relay.url, often, devices=150, seed=seed).enrol()
        killer = Killer(site, replicas, chance)
        killer.start()
        try:
            for _ in range(kills):
                killer.kill()
        finally:
            killer.stop()
        last = site.connector("sync", "--full", "--json")
        output, _ = last.communicate(timeout=END)
        assert last.returncode == 0, output + site.log()
        assert site.differences() == []
        states = [sync["state"] for sync in site.syncs()]
        print("STATES", {s: states.count(s) for s in set(states)}, "history", site.query("SELECT count(*) FROM device_history WHERE tenant_id = %s"), "deleted", killer.deleted, {e: site.log().count(e) for e in ("connector started","sequence taken","begins again","is away","is back","someone else")})
        assert states.count("sealed") > kills / 2, states
        assert states.count("abandoned") >= kills / 20, states
        assert states.count("open") == 0
        assert "a fault of the connector" not in site.log()
        assert all("Traceback" not in replica.log.read_text() for replica in replicas)


@pytest.mark.timeout(400)
def test_twenty_kills_lose_and_double_nothing(make_site: MakeSite, postgres: Cluster, tmp_path: Path) -> None:
    """The connector, its store and the service, in any order."""
    with replicas_of(postgres, tmp_path, 1) as replicas:
        survive(make_site, replicas, kills=20, seed=20)


@pytest.mark.timeout(400)
def test_two_replicas_on_one_database_survive_kills_too(make_site: MakeSite, postgres: Cluster, tmp_path: Path) -> None:
    """Each document may be taken by another replica, and any of them may die in the middle of it."""
    with replicas_of(postgres, tmp_path, 2) as replicas:
        survive(make_site, replicas, kills=8, seed=8)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [1, 2])
def test_hundreds_of_kills_lose_and_double_nothing(
    make_site: MakeSite, postgres: Cluster, tmp_path: Path, count: int, seed: int
) -> None:
    """The same for as long as it takes to believe it."""
    with replicas_of(postgres, tmp_path, count) as replicas:
        survive(make_site, replicas, kills=60, seed=1_000 + seed)

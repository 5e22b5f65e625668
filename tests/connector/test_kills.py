"""Killing the connector or the service at random moments loses nothing and doubles nothing.

Real processes, SIGKILL, fixed seeds. While they die and start again, the lab's story goes on; sometimes the connector's
store is deleted too. At the end one more quick synchronisation must bring whatever changed, and one more full one make
the database equal to the organization; the history of every device must be a chain: each change starts from where the
one before it ended.

A killed connector leaves its shell at Exchange until that is idle for 15 minutes; the lab's quota is raised for that.
"""

import random
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from gatepost.connector import credentials
from gatepost.connector.store import FILE, Store
from gatepost.settings import SyncSettings
from tests.fixtures.database import Cluster
from tests.fixtures.relay import Relay
from tests.fixtures.site import MakeSite, Service, Site

PAUSE = 0.4  # seconds at most between what is waited for and the kill
MOMENTS = ("early", "open", "sealed")  # as processes find each other again, in the middle of a sync, after one
STORIES = 6  # changes in the organization between two kills
END = 60.0


class Killer:
    """Keeps a connector and replicas of the service going, and kills them.

    Each time the connector is dead its store gets an outcome to hand in. Where the store is ``forgetful`` it is deleted
    before that, now and then, and what the service did not have of its outcomes ``may_be_lost``: nothing else may.
    """

    def __init__(self, site: Site, replicas: list[Service], chance: random.Random, *, forgetful: bool) -> None:
        self._site = site
        self._replicas = replicas
        self._chance = chance
        self._connector: subprocess.Popen[str] | None = None
        self._forgetful = forgetful
        self.waits = 0
        self.outcomes: set[str] = set()
        self.may_be_lost: set[str] = set()
        self._watching = psycopg.connect(site.urls.superuser, autocommit=True)

    def start(self) -> None:
        """Start the connector."""
        self._connector = self._site.connector("run")

    def stop(self) -> None:
        """Kill the connector for good."""
        if self._connector is not None:
            self._connector.kill()
            self._connector.communicate()

    def close(self) -> None:
        """Kill the connector and look no more."""
        self.stop()
        self._watching.close()

    def told(self) -> set[str]:
        """The outcomes that the service has."""
        rows = self._site.query("SELECT outcome_id FROM outcomes WHERE tenant_id = %s")
        return {str(row["outcome_id"]) for row in rows}

    def kill(self) -> None:
        """Kill one of them, and start it again."""
        for _ in range(STORIES):
            self._site.lab.story.step()
        moment = self._chance.choice(MOMENTS)
        if moment != "early":
            self._wait_for(moment)
        time.sleep(self._chance.uniform(0, 0.05 if moment == "open" else PAUSE))
        victim = self._chance.choice([None, None, *self._replicas])
        if victim is None:
            self.stop()
            if self._forgetful and self._chance.random() < 0.4:
                self.may_be_lost |= self.outcomes - self.told()
                self._delete_store()
            self._add_outcome()
            self.start()
        else:
            victim.kill()
            victim.launch()

    def _wait_for(self, state: str) -> None:
        """Until another synchronisation is open, or sealed, than there was before: the next kill hits work."""
        before = self._ids(state)
        end = time.monotonic() + END
        while not self._ids(state) - before:
            assert time.monotonic() < end, f"no synchronisation is {state} any more:\n{self._site.log()}"
            time.sleep(0.01)
        self.waits += state == "sealed"

    def _ids(self, state: str) -> set[str]:
        query = "SELECT sync_id FROM syncs WHERE tenant_id = %s AND state = %s"
        return {row[0] for row in self._watching.execute(query, (self._site.tenant_id, state))}

    def _delete_store(self) -> None:
        for path in self._site.settings.folder.glob(f"{FILE}*"):
            path.unlink()

    def _add_outcome(self) -> None:
        """What became of a piece of work, as the process that just died would have kept it."""
        identity = credentials.load(self._site.settings.folder)
        name = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        path = self._site.settings.folder / FILE
        with Store(path, identity.organization, identity.connector, identity.epoch, identity.incarnation) as store:
            store.add_outcome(name, {"outcome_id": name, "about": "test", "result": "done"})
        self.outcomes.add(name)


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


def unexplained(log: str) -> bool:
    """Whether the service met a fault of its own; a client that dies while it speaks is none."""
    return log.count("Traceback (most recent") > log.count("ClientDisconnect")


def survive(make_site: MakeSite, replicas: list[Service], *, kills: int, seed: int, forgetful: bool) -> None:
    """Kill so often, then look."""
    chance = random.Random(seed)
    with Relay([replica.port for replica in replicas], chance) as relay:
        often = SyncSettings(full_every=0.7, quick_every=0.2)
        site = make_site(replicas[0].urls, relay.url, often, devices=400, seed=seed, max_shells=1_000).enrol()
        killer = Killer(site, replicas, chance, forgetful=forgetful)
        killer.start()
        try:
            for _ in range(kills):
                killer.kill()
        finally:
            killer.close()
        site.lab.organization.finish()  # new phones become known after a while, also between a listing and a look
        for scope in ("--quick", "--full"):
            last = site.connector("sync", scope, "--json")
            output, _ = last.communicate(timeout=END)
            assert last.returncode == 0, output + site.log()
            assert site.differences(with_gone=scope == "--full") == []
        states = [sync["state"] for sync in site.syncs()]
        assert states.count("sealed") > killer.waits, states
        assert states.count("open") == 0
        told = killer.told()
        assert killer.outcomes - killer.may_be_lost <= told <= killer.outcomes
        assert len(told) > len(killer.outcomes) / 2, (told, killer.outcomes)
        assert "a fault of the connector" not in site.log()
        assert [replica for replica in replicas if unexplained(replica.log.read_text())] == []


@pytest.mark.timeout(400)
def test_twenty_kills_lose_and_double_nothing(make_site: MakeSite, postgres: Cluster, tmp_path: Path) -> None:
    """The connector, its store and the service, in any order."""
    with replicas_of(postgres, tmp_path, 1) as replicas:
        survive(make_site, replicas, kills=20, seed=20, forgetful=True)


@pytest.mark.timeout(400)
def test_two_replicas_on_one_database_survive_kills_too(make_site: MakeSite, postgres: Cluster, tmp_path: Path) -> None:
    """Each document may be taken by another replica, and any of them may die in the middle of it."""
    with replicas_of(postgres, tmp_path, 2) as replicas:
        survive(make_site, replicas, kills=8, seed=8, forgetful=False)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [1, 2])
def test_hundreds_of_kills_lose_and_double_nothing(
    make_site: MakeSite, postgres: Cluster, tmp_path: Path, count: int, seed: int
) -> None:
    """The same for as long as it takes to believe it."""
    with replicas_of(postgres, tmp_path, count) as replicas:
        survive(make_site, replicas, kills=60, seed=1_000 + seed, forgetful=seed % 2 == 0)

"""A connector that is killed between the claim of a notice, its sending and its outcome: one mail, each time.

Real processes, SIGKILL, at steps that relays hold; what was sent is counted in Sent Items and read by exchangelib.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from gatepost.connector.store import FILE
from gatepost.lab.rows import Device, Mailbox
from tests.connector.notices import add_account, opened
from tests.fixtures.relays import AFTER, BEFORE, ExchangeRelay, ServiceRelay
from tests.fixtures.site import MakeSite, Site

SECONDS = 40.0
STEPS = (
    ("service", "claim", AFTER, False),  # claimed; the connector never heard so
    ("exchange", "send", BEFORE, True),  # it reaches Exchange when its sender is dead
    ("exchange", "send", AFTER, False),  # sent; nobody here knows
    ("service", "delivery", BEFORE, False),  # sent and noted; the service never heard so
)


@dataclass
class Stage:
    """A site, its relays and its connector's process."""

    site: Site
    exchange: ExchangeRelay
    service: ServiceRelay
    process: "subprocess.Popen[str] | None" = None

    def start(self) -> None:
        """Start the connector."""
        self.process = self.site.connector("run")

    def kill(self) -> None:
        """End it as a power cut does."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def forget(self) -> None:
        """Delete its store."""
        for path in self.site.settings.folder.glob(f"{FILE}*"):
            path.unlink()

    def state(self, mailbox: Mailbox) -> str:
        """How it stands with the notice to a mailbox."""
        [row] = self.site.query("SELECT state FROM notices WHERE tenant_id = %s AND mailbox_guid = %s", mailbox.guid)
        return str(row["state"])

    def let_time_pass(self) -> None:
        """What was claimed was claimed long ago, and what waits is due; who waits for that is woken."""
        self.site.execute(
            "UPDATE notices SET claimed_at = claimed_at - interval '10 minutes' "
            "WHERE state IN ('claimed', 'uncertain') AND claimed_at > now() - interval '5 minutes' AND tenant_id = %s"
        )
        self.site.execute(
            "UPDATE notices SET due_at = now(), told_at = NULL WHERE state = 'waiting' AND due_at > now() "
            "AND tenant_id = %s"
        )
        self.site.execute(
            "SELECT pg_notify('gatepost', tenant_id || '/' || organization_id) FROM organizations WHERE tenant_id = %s"
        )

    def settle(self, mailbox: Mailbox) -> None:
        """Start it again, and wait until the notice is sent."""
        self.start()
        end = time.monotonic() + SECONDS
        while self.state(mailbox) != "sent":
            assert time.monotonic() < end, f"{self.state(mailbox)}\n{self.site.log()}"
            self.let_time_pass()
            time.sleep(0.2)


@contextmanager
def staged(make_site: MakeSite) -> Iterator[Stage]:
    """A connector between two relays, with an account to send from."""
    with ExitStack() as stack:
        plain = make_site(devices=40)
        exchange = stack.enter_context(ExchangeRelay(plain.lab))
        service = stack.enter_context(ServiceRelay(int(plain.service_url.rpartition(":")[2]), None, plain.keys))
        site = replace(plain, exchange_url=exchange.url, service_url=service.url).limited(mode="enforce").enrol()
        add_account(site, f"https://localhost:{exchange.port}/EWS/Exchange.asmx")
        site.synchronise()
        stage = Stage(site, exchange, service)
        stack.callback(stage.kill)
        yield stage


def carriers(site: Site) -> list[tuple[Mailbox, Device]]:
    """People with one phone of their own each."""
    return [
        (box, box.devices[0])
        for box in site.lab.organization.view().mailboxes
        if box.kind == "UserMailbox"
        and box.enabled
        and not box.protected
        and not box.allowed + box.blocked
        and len(box.devices) == 1
        and box.devices[0].device_id
        and box.devices[0].handset.client_type == "EAS"
    ]


def test_a_killed_connector_sends_each_notice_once(make_site: MakeSite) -> None:
    """At each step between claim, sending and outcome, once with its store deleted: found again, or sent after all."""
    with staged(make_site) as stage:
        people = carriers(stage.site)[: len(STEPS)]
        assert len(people) == len(STEPS)
        stage.start()
        for (side, tag, when, go), (mailbox, phone) in zip(STEPS, people, strict=True):
            halt = getattr(stage, side).halt(tag, when)
            stage.site.pin(phone.guid, "block")
            halt.wait()
            stage.kill()
            halt.let(go=go)
            if (tag, when) == ("send", AFTER):
                stage.forget()
            stage.settle(mailbox)
        stage.kill()
        lab = stage.site.lab
        for mailbox, _ in people:
            lab.mail.granted.add((mailbox.smtp or "").lower())
            with opened(lab, mailbox.smtp or "") as box:
                assert box.inbox.all().count() == 1, mailbox.smtp
        assert len(lab.mail.folder(lab.mail.account, "sentitems")) == len(people)

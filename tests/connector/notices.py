"""A site whose people are told of their phones: a notices' account at the lab, and mailboxes read by exchangelib."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from exchangelib import BASIC, DELEGATE, Account, Configuration, Credentials, Message
from exchangelib.protocol import BaseProtocol, FailFast
from exchangelib.version import EXCHANGE_2019, Version
from requests import Response
from requests.adapters import HTTPAdapter

from gatepost.connector.agent import Agent
from gatepost.domain.policies import Policy
from gatepost.lab.rows import Device, Mailbox
from gatepost.lab.server import Lab
from gatepost.service import directory, following
from gatepost.service.administrators.person import Person
from gatepost.service.database import Database, Scope
from gatepost.service.policies import rollout, versions
from gatepost.service.policies.rings import Ring
from tests.fixtures.site import MakeSite, Site

SOMEBODY = Person(uuid4(), "anna")


@dataclass
class Told:
    """One site, with a person who carries a phone."""

    site: Site
    mailbox: Mailbox
    phone: Device

    @property
    def address(self) -> str:
        """The person's address."""
        return (self.mailbox.smtp or "").lower()

    def act(self, action: Callable[[Scope], Awaitable[Any]]) -> None:
        """Do something at the service, and what follows it."""

        async def work() -> None:
            async with await Database.open(self.site.urls.operator) as database:
                async with database.tenant(self.site.tenant_id) as scope:
                    await action(scope)
                await following.follow(database, self.site.tenant_id)

        asyncio.run(work())

    def decide(self, level: str) -> None:
        """A policy that says this of every phone of the person, and leaves all others alone."""
        when = {"user": f"^{self.address.replace('.', '[.]')}$"}
        document = {**Policy(enabled=True).document(), "rules": [
            {"id": "all", "name": "All phones", "level": level, "when": when}
        ]}  # fmt: skip

        async def roll_out(scope: Scope) -> None:
            version = await versions.save(scope, document, "", SOMEBODY)
            await rollout.begin(scope, version, Ring.ALL, None, None, SOMEBODY)

        self.act(roll_out)

    def speak(self, language: str) -> None:
        """What the directory knows of the person."""
        person = {"external_id": "p1", "smtp": [self.address], "upn": None, "display_name": "Jan de Vries"}
        known = [{**person, "language": language, "enabled": True, "groups": []}]
        self.act(lambda scope: directory.put_people(scope, known, complete=False, may_remove=0, person=SOMEBODY))

    def work(self, times: int = 1) -> None:
        """The connector hears, works and tells, so many times, each time as a new process would."""
        for _ in range(times):
            with Agent(self.site.settings, patience=10) as agent:
                agent.work()

    def notices(self) -> list[dict[str, Any]]:
        """The notices, oldest first."""
        return self.site.query("SELECT * FROM notices WHERE tenant_id = %s ORDER BY made_at, notice_id")

    def inbox(self, address: str = "") -> list[Message]:
        """What a mailbox got, newest first, as exchangelib reads it."""
        named = (address or self.address).lower()
        self.site.lab.mail.granted.add(named)
        with opened(self.site.lab, named) as box:
            return list(box.inbox.all())


@contextmanager
def opened(lab: Lab, address: str) -> Iterator[Account]:
    """A mailbox of the lab, opened by exchangelib."""

    class Trusting(HTTPAdapter):
        def send(self, *sent: Any, **options: Any) -> Response:
            return super().send(*sent, **options | {"verify": str(lab.ca_file)})

    before = BaseProtocol.HTTP_ADAPTER_CLS
    BaseProtocol.HTTP_ADAPTER_CLS = Trusting
    try:
        config = Configuration(
            service_endpoint=lab.ews_url,
            credentials=Credentials(lab.user, lab.password),
            auth_type=BASIC,
            version=Version(build=EXCHANGE_2019),
            retry_policy=FailFast(),
        )
        account = Account(address, config=config, autodiscover=False, access_type=DELEGATE)
        yield account
        account.protocol.close()
    finally:
        BaseProtocol.HTTP_ADAPTER_CLS = before


def add_account(site: Site, url: str) -> None:
    """Give the connector the lab's mailbox to send from, at this address of its services."""
    lab = site.lab
    with site.config.open("a") as config:
        config.write(
            f"[notices]\naccount = \"{lab.mail.account}\"\nuser = '{lab.user}'\n"
            f'password_file = "{lab.password_file}"\nurl = "{url}"\n'
        )


def told_site(make_site: MakeSite, **limits: Any) -> Told:
    """A site that enforces, where new phones are in quarantine by default, and somebody with such a phone."""
    site = make_site(devices=30).limited(**{"mode": "enforce", **limits})
    lab = site.lab
    add_account(site, lab.ews_url)
    lab.organization.view().change_settings(default_level="Quarantine")
    mailbox, phone = next(
        (each, device)
        for each in lab.organization.view().mailboxes
        if each.kind == "UserMailbox" and each.enabled and not each.protected and not each.allowed + each.blocked
        for device in each.devices
        if device.device_id and device.handset.client_type == "EAS" and len(each.devices) == 1
    )
    phone.first_sync = lab.organization.clock()
    site.enrol().synchronise()
    return Told(site, mailbox, phone)

"""What a connector says, for tests of the service: the documents of the contract over real HTTP, and nothing clever.

It shares no code with ``gatepost.connector``: the two are checked against the contract, not against each other.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import requests

from gatepost.domain.contract import (
    DEVICE_COLUMNS,
    MAILBOX_COLUMNS,
    CheckIn,
    Facts,
    Kind,
    ListingDigest,
    Scope,
    Status,
    Sync,
    Table,
    seal,
)

Row = Sequence[Any]


def device(number: int, **fields: Any) -> list[Any]:
    """A device row; ``fields`` replace what it says by default."""
    values: dict[str, Any] = {
        "guid": str(UUID(int=number + 1)),
        "device_id": f"DEV{number:05d}",
        "mailbox_guid": str(UUID(int=(1 << 64) + number // 2)),
        "identity": f"example.test/Users/User {number // 2}/ExchangeActiveSyncDevices/iPhone§DEV{number:05d}",
        "friendly_name": f"Phone {number}",
        "device_type": "iPhone",
        "model": f"iPhone{number % 7 + 10}C1",
        "os": f"iOS 17.{number % 5} 21A{number % 9}",
        "user_agent": f"Apple-iPhone{number % 7 + 10}C1/2101.{number % 9}",
        "access_state": "Allowed",
        "access_state_reason": "Global",
        "first_sync_at": "2026-01-02T03:04:05Z",
    }
    values.update(fields)
    return [values.get(name) for name in DEVICE_COLUMNS]


def mailbox(number: int, **fields: Any) -> list[Any]:
    """A mailbox row."""
    values: dict[str, Any] = {
        "guid": str(UUID(int=(1 << 64) + number)),
        "dn": f"CN=User {number},CN=Users,DC=example,DC=test",
        "primary_smtp": f"user{number}@example.test",
        "display_name": f"User {number}",
        "kind": "user",
        "eas_enabled": True,
        "allowed_ids": [],
        "blocked_ids": [],
    }
    values.update(fields)
    return [values.get(name) for name in MAILBOX_COLUMNS]


@dataclass
class Speaker:
    """One enrolled connector: its secret, its instance (one store), its next sequence."""

    url: str
    secret: str = field(default_factory=lambda: uuid4().hex)
    instance: str = field(default_factory=lambda: str(uuid4()))
    identity: dict[str, Any] = field(default_factory=dict)
    sequence: int = 0
    revision: int = 0
    clock: datetime | None = None

    @property
    def public_key(self) -> str:
        """What enrolment is told of the secret."""
        return "sha256:" + hashlib.sha256(self.secret.encode()).hexdigest()

    def enrol(self, ticket: str, **changes: Any) -> requests.Response:
        """Spend a ticket; a good answer becomes the identity."""
        document = {"ticket": ticket, "public_key": self.public_key, "instance": self.instance, "host": "mail1"}
        answer = requests.post(
            f"{self.url}/connector/v1/enrolments", json={**document, "version": "0.1.0", **changes}, timeout=30
        )
        if answer.status_code == 200:
            self.identity, self.sequence = answer.json(), 0
        return answer

    def headers(self, body: bytes = b"", **changes: str) -> dict[str, str]:
        """The headers of a request with this body."""
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        return {
            "Authorization": f"Bearer {self.secret}",
            "Gatepost-Key": f"{self.identity['tenant']}/{self.identity['connector']}",
            "Gatepost-Epoch": str(self.identity["epoch"]),
            "Gatepost-Instance": self.instance,
            "Gatepost-Time": (self.clock or datetime.now(UTC)).isoformat(),
            "Content-Digest": f"sha-256=:{digest}:",
            "Content-Encoding": "gzip",
            "Content-Type": "application/json",
            **changes,
        }

    def document(self, kind: Kind, sequence: int, **fields: Any) -> bytes:
        """A sealed check-in."""
        known: dict[str, Any] = {
            "organization": self.identity["organization"],
            "epoch": self.identity["epoch"],
            "incarnation": self.identity["incarnation"],
            "revision": self.revision,
            "status": Status(version="0.1.0", host="mail1"),
        }
        return seal(CheckIn(kind=kind, sequence=sequence, **{**known, **fields}))

    def send(self, document: bytes, **headers: str) -> requests.Response:
        """One attempt with a sealed document."""
        body = gzip.compress(document, mtime=0)
        return requests.post(
            f"{self.url}/connector/v1/check-ins", data=body, headers=self.headers(body, **headers), timeout=60
        )

    def say(self, kind: Kind = Kind.CYCLE, **fields: Any) -> dict[str, Any]:
        """The next document, which must be accepted; its answer."""
        answer = self.send(self.document(kind, self.sequence + 1, **fields))
        assert answer.status_code == 200, answer.text
        self.sequence += 1
        said: dict[str, Any] = answer.json()
        return said

    def begin(
        self, devices: Sequence[Row] = (), mailboxes: Sequence[Row] = (), *, scope: Scope = Scope.FULL, **sync: Any
    ) -> tuple[Sync, dict[str, Any]]:
        """Announce a synchronisation of these rows; the announcement, and the result."""
        digest = ListingDigest()
        for row in (*devices, *mailboxes):
            digest.add(row)
        known = {"devices": len(devices), "mailboxes": len(mailboxes), "digest": digest.hexdigest()}
        announced = Sync(sync_id=str(uuid4()), scope=scope, **{**known, **sync})
        return announced, self.say(Kind.SYNC_BEGIN, sync=announced)["result"]

    def part(self, sync: Sync, number: int, devices: Sequence[Row] = (), mailboxes: Sequence[Row] = ()) -> Any:
        """Send one part; the result."""
        facts = Facts(devices=Table(DEVICE_COLUMNS, tuple(devices)), mailboxes=Table(MAILBOX_COLUMNS, tuple(mailboxes)))
        step = Sync(sync_id=sync.sync_id, scope=sync.scope, part=number)
        return self.say(Kind.SYNC_PART, sync=step, facts=facts)["result"]

    def seal(self, sync: Sync) -> Any:
        """Seal; the result."""
        return self.say(Kind.SYNC_SEAL, sync=Sync(sync_id=sync.sync_id, scope=sync.scope))["result"]

    def synchronise(
        self,
        devices: Sequence[Row] = (),
        mailboxes: Sequence[Row] = (),
        *,
        scope: Scope = Scope.FULL,
        rows: int = 100,
        **sync: Any,
    ) -> list[dict[str, Any]]:
        """A whole synchronisation, mailboxes first; the results of all its documents. Stops where it is held."""
        announced, result = self.begin(devices, mailboxes, scope=scope, **sync)
        results = [result]
        if result["state"] != "go":
            return results
        parts: list[Mapping[str, Sequence[Row]]] = [
            *({"mailboxes": mailboxes[at : at + rows]} for at in range(0, len(mailboxes), rows)),
            *({"devices": devices[at : at + rows]} for at in range(0, len(devices), rows)),
        ]
        results += [self.part(announced, number, **part) for number, part in enumerate(parts, 1)]
        return [*results, self.seal(announced)]

    def wait(self, revision: int = 0, timeout: float = 60) -> requests.Response:
        """Hold a request open."""
        return requests.get(
            f"{self.url}/connector/v1/wait?revision={revision}&orders=0", headers=self.headers(), timeout=timeout
        )

    def farewell(self, outcomes: Sequence[Mapping[str, Any]] = ()) -> requests.Response:
        """Say goodbye."""
        body = gzip.compress(json.dumps({"outcomes": list(outcomes)}).encode())
        return requests.post(f"{self.url}/connector/v1/farewell", data=body, headers=self.headers(body), timeout=30)

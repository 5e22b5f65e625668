"""What a connector says, for tests of the service: the documents of the contract over real HTTP, and nothing clever.

It shares no code with ``gatepost.connector``: the two are checked against the contract, not against each other.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import NameOID

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


SIGNED = ("Gatepost-Key", "Gatepost-Epoch", "Gatepost-Instance", "Gatepost-Time", "Content-Digest")


def digest_of(body: bytes) -> str:
    """The value of Content-Digest."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def request_of(key: ec.EllipticCurvePrivateKey) -> str:
    """A certificate request with this key; what it says of its subject does not count."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody else")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def check_answer(answer: requests.Response, about: str, service_key: str) -> None:
    """See that the service has signed this answer to the request whose signature is ``about``."""
    text = f"gatepost answer 1\n{answer.status_code}\n{digest_of(answer.content)}\n{about}"
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(service_key))
    key.verify(base64.b64decode(answer.headers["Gatepost-Signature"]), text.encode())


@dataclass
class Speaker:
    """One enrolled connector: its key, its instance (one store of it), its next sequence.

    Every answer's signature is checked; ``serial`` names the certificate that it uses.
    """

    url: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    instance: str = field(default_factory=lambda: str(uuid4()))
    identity: dict[str, Any] = field(default_factory=dict)
    serial: str = ""
    sequence: int = 0
    revision: int = 0
    clock: datetime | None = None

    def clone(self, url: str = "", instance: str = "") -> "Speaker":
        """Somebody with a copy of its folder, or with its folder at another replica."""
        return replace(self, url=url or self.url, instance=instance or str(uuid4()))

    def enrol(self, ticket: str, **changes: Any) -> requests.Response:
        """Spend a ticket, in the place of another connector; a good answer becomes the identity."""
        document = {"ticket": ticket, "csr": request_of(self.key), "instance": self.instance, "host": "mail1"}
        body = json.dumps({**document, "version": "0.1.0", "replace": True, **changes}).encode()
        answer = requests.post(f"{self.url}/connector/v1/enrolments", data=body, timeout=30)
        if answer.status_code == 200:
            check_answer(answer, digest_of(body), answer.json()["service_key"])
            self.identity, self.sequence = answer.json(), 0
            self.use(self.key, self.identity["certificate"])
        return answer

    def use(self, key: ec.EllipticCurvePrivateKey, certificate: str) -> None:
        """Sign with this key, as this certificate."""
        self.key = key
        self.serial = f"{x509.load_pem_x509_certificate(certificate.encode()).serial_number:x}"

    def headers(
        self, body: bytes = b"", target: str = "/connector/v1/check-ins", method: str = "POST", **changes: str
    ) -> dict[str, str]:
        """The headers of a request; what is changed in those that are signed is signed."""
        found = {
            "Gatepost-Key": f"{self.identity['tenant']}/{self.identity['connector']}/{self.serial}",
            "Gatepost-Epoch": str(self.identity["epoch"]),
            "Gatepost-Instance": self.instance,
            "Gatepost-Time": (self.clock or datetime.now(UTC)).isoformat(),
            "Content-Digest": digest_of(body),
            "Content-Type": "application/json",
            **changes,
        }
        text = "\n".join(["gatepost request 1", method, target, *(found[name] for name in SIGNED)])
        signature = self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        return {"Gatepost-Signature": base64.b64encode(signature).decode(), **found}

    def ask(
        self, method: str, path: str, body: bytes = b"", changes: Mapping[str, str] | None = None, timeout: float = 60
    ) -> requests.Response:
        """One request; the signature of its answer is checked, but where the service could not know whose it is."""
        target = f"/connector/v1/{path}"
        headers = self.headers(body, target, method, **(changes or {}))
        answer = requests.request(method, self.url + target, data=body, headers=headers, timeout=timeout)
        nobody_known = answer.status_code in (401, 503) and "Gatepost-Signature" not in answer.headers
        if not nobody_known:
            check_answer(answer, headers["Gatepost-Signature"], self.identity["service_key"])
        return answer

    def renew(self, key: ec.EllipticCurvePrivateKey) -> requests.Response:
        """Ask for a certificate for this key."""
        return self.ask("POST", "certificates", json.dumps({"csr": request_of(key)}).encode())

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
        return self.ask("POST", "check-ins", gzip.compress(document, mtime=0), headers)

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

    def wait(self, revision: int = 0, timeout: float = 60, *, stopped: bool = False) -> requests.Response:
        """Hold a request open."""
        return self.ask("GET", f"wait?revision={revision}&orders=0&stopped={int(stopped)}", timeout=timeout)

    def farewell(self, outcomes: Sequence[Mapping[str, Any]] = ()) -> requests.Response:
        """Say goodbye."""
        return self.ask("POST", "farewell", gzip.compress(json.dumps({"outcomes": list(outcomes)}).encode()))

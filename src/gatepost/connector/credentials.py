"""Who this connector is, at rest and on the wire.

The connector makes its own key and the service certifies it. The identity, key and all, is one file in the connector's
folder that only its user may read, so that it is replaced whole or not at all. A key that was not certified yet lies in
a file of its own: what is asked for with it may be asked for again.
"""

import hashlib
import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gatepost.connector import host
from gatepost.connector.keys import Certificate, Key, is_signed, new_key, raw_key
from gatepost.connector.secrets import Secrets
from gatepost.domain import signing
from gatepost.domain.contract import iso
from gatepost.errors import SettingsError

IDENTITY = "identity.json"
PENDING, RENEWAL = "enrolment.json", "renewal.json"
INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class Identity:
    """What an enrolment gave. ``incarnation`` is the database's at that time; ``epoch`` fences later enrolments.

    ``service_key`` is the key that every answer must be signed with (base64), ``certificate`` is PEM, ``key`` ours.
    """

    tenant: str
    organization: str
    organization_name: str
    connector: str
    epoch: int
    incarnation: str
    service_key: str
    certificate: str
    key: str = field(repr=False)

    def shown(self) -> dict[str, Any]:
        """What people and scripts may see of it."""
        document = {name: value for name, value in asdict(self).items() if name not in ("key", "certificate")}
        return document | {"certificate_until": iso(Certificate(self.certificate).ends)}


def save(folder: Path, identity: Identity, spent: Path | None = None) -> None:
    """Keep an identity: the enrolment or the renewal is done.

    ``spent`` is the file of the ticket that paid. It goes before the key that was made for it: a process that ends in
    between finds both again, or neither.
    """
    host.write_private(folder / IDENTITY, json.dumps(asdict(identity)))
    if spent is not None:
        host.destroy(spent)
    for pending in (PENDING, RENEWAL):
        host.destroy(folder / pending)


def load(folder: Path) -> Identity:
    """The identity of a folder. Raises SettingsError where there is none yet, or none any more."""
    try:
        raw = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(
            f"The folder {folder} holds no identity: this connector is not enrolled.",
            "Get a ticket and run `gatepost connector setup`.",
        ) from error
    except OSError as error:
        raise SettingsError(
            f"The file {folder / IDENTITY} cannot be read: {error.strerror}.", "Check its rights."
        ) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(folder) from error
    if not isinstance(raw, dict):
        raise _damaged(folder)
    if raw.get("replaced"):
        raise SettingsError(f"This connector was replaced: {raw['replaced']}", "Enrol again with a new ticket.")
    return _identity(folder, raw)


def ended(folder: Path) -> str | None:
    """Why the connector of a folder has ended: replaced, revoked or removed. None where it has not."""
    try:
        raw = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None  # what is wrong with it is told by ``load``
    return str(raw["replaced"]) if isinstance(raw, dict) and raw.get("replaced") else None


def _identity(folder: Path, raw: Mapping[str, Any]) -> Identity:
    """What a file says, where it says all of it: the values travel in headers."""
    values = {each.name: raw.get(each.name) for each in fields(Identity)}
    epoch, name = values.pop("epoch"), values.pop("organization_name")
    texts = {name: text for name, text in values.items() if isinstance(text, str) and text.isascii()}
    known = len(texts) == len(values) and all(texts.values()) and isinstance(name, str)
    if not known or type(epoch) is not int or not 0 < epoch < 2**63:
        raise _damaged(folder)
    identity = Identity(epoch=epoch, organization_name=str(name), **texts)
    try:
        raw_key(identity.service_key)
        fitting = Key(identity.key).fits(Certificate(identity.certificate))
    except ValueError as error:
        raise _damaged(folder) from error
    if not fitting:
        raise _damaged(folder)
    return identity


def _damaged(folder: Path) -> SettingsError:
    return SettingsError(f"The file {folder / IDENTITY} is damaged.", "Enrol again with a new ticket.")


def wipe(folder: Path, why: str) -> None:
    """Forget every secret of a connector that the service does not accept any more; ``why`` stays for people to read.

    The identity goes first: whoever is cut off after that could not ask the service again, for the password of a proxy
    may be gone. What is left then is for ``finish``.
    """
    host.write_private(folder / IDENTITY, json.dumps({"replaced": why, "unfinished": True}))
    Secrets(folder).forget()
    for pending in (PENDING, RENEWAL):
        host.destroy(folder / pending)
    host.write_private(folder / IDENTITY, json.dumps({"replaced": why}))


def finish(folder: Path) -> None:
    """Go on with ``wipe`` or ``save`` where a process was killed in it. For who has the folder to itself."""
    try:
        raw = json.loads((folder / IDENTITY).read_text(encoding="utf-8"))
        serial = Certificate(str(raw["certificate"])).serial if "certificate" in raw else None
        unfinished = raw.get("unfinished")
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return  # ``load`` says what is wrong
    if unfinished:
        wipe(folder, str(raw.get("replaced")))
    elif serial is not None and _pending(folder / RENEWAL, serial) is None:
        host.destroy(folder / RENEWAL)


def key_for(folder: Path, ticket: str) -> str:
    """The key to enrol with: the same again for the same ticket, so that a lost answer is no dead end."""
    about = hashlib.sha256(ticket.encode()).hexdigest()
    found = _pending(folder / PENDING, about)
    return found or _keep(folder / PENDING, about)


def next_key(folder: Path, identity: Identity) -> str:
    """The key to renew this identity with: the same again until it was answered."""
    about = Certificate(identity.certificate).serial
    return _pending(folder / RENEWAL, about) or _keep(folder / RENEWAL, about)


def _pending(path: Path, about: str) -> str | None:
    try:
        pending = json.loads(path.read_text(encoding="utf-8"))
        if pending["about"] == about:
            Key(pending["key"])
            return str(pending["key"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def _keep(path: Path, about: str) -> str:
    key = new_key()
    host.write_private(path, json.dumps({"about": about, "key": key}))
    return key


def instance(folder: Path) -> str:
    """The id of this folder, made when first asked. A file beside the store: deleting the store keeps the lease."""
    path = folder / INSTANCE
    try:
        return str(uuid.UUID(path.read_text(encoding="ascii").strip()))
    except (OSError, ValueError):
        return new_instance(folder)


def new_instance(folder: Path) -> str:
    """Become another instance: someone else seems to work with a copy of this folder."""
    made = str(uuid.uuid4())
    host.write_private(folder / INSTANCE, made + "\n")
    return made


class Credentials:
    """Makes the headers that prove who asks, and knows the service's answers from others.

    ``correct`` takes the service's clock where this host's is off; ``use`` takes a renewed identity. ``changing`` is
    held while one is put on the disk and taken: another process may sign with it before this one. Safe to use from
    several threads.
    """

    def __init__(self, identity: Identity, instance_id: str) -> None:
        self.instance = instance_id
        self._offset = timedelta()
        self.changing = threading.Lock()
        self.use(identity)

    def use(self, identity: Identity) -> None:
        """Sign with this identity from now on."""
        self._held = (identity, Key(identity.key), Certificate(identity.certificate))

    @property
    def certificate(self) -> Certificate:
        """The certificate in use."""
        return self._held[2]

    def correct(self, server_time: datetime) -> None:
        """Count from the service's clock from now on; this host's own is left alone."""
        self._offset = server_time - datetime.now(UTC)

    def now(self) -> datetime:
        """This moment on the service's clock, as far as it is known."""
        return datetime.now(UTC) + self._offset

    def headers(self, method: str, target: str, body: bytes) -> dict[str, str]:
        """The headers of one request: ``target`` is path and query from ``/connector/v1`` on, ``body`` as sent."""
        identity, key, certificate = self._held
        values = (
            f"{identity.tenant}/{identity.connector}/{certificate.serial}",
            str(identity.epoch),
            self.instance,
            iso(self.now()) or "",
            signing.content_digest(body),
        )
        signature = key.sign(signing.request_bytes(method, target, values))
        return dict(zip(signing.SIGNED_HEADERS, values, strict=True)) | {signing.SIGNATURE: signature}

    def knows(self, status: int, body: bytes, signature: str | None, headers: Mapping[str, str]) -> bool:
        """Whether the service has signed this answer to the request with these ``headers``."""
        about = signing.answer_bytes(status, body, headers[signing.SIGNATURE])
        return is_signed(self._held[0].service_key, about, signature)

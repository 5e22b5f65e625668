"""Who this connector is, at rest and on the wire: the seam where signatures will sit.

The connector makes its own secret; the service is told only its hash, at enrolment. The identity, secret and all, is
one file in the connector's folder that only its user may read, so that it is replaced whole or not at all.
"""

import base64
import hashlib
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gatepost.connector import host
from gatepost.domain.contract import iso
from gatepost.errors import SettingsError

IDENTITY = "identity.json"
PENDING = "enrolment.json"
INSTANCE = "instance"


@dataclass(frozen=True, slots=True)
class Identity:
    """What an enrolment gave. ``incarnation`` is the database's at that time; ``epoch`` fences later enrolments."""

    tenant: str
    organization: str
    connector: str
    epoch: int
    incarnation: str
    secret: str = field(repr=False)


def new_secret() -> str:
    """A secret of 256 bits."""
    return secrets.token_urlsafe(32)


def public_key(secret: str) -> str:
    """What the service keeps of a secret."""
    return "sha256:" + hashlib.sha256(secret.encode()).hexdigest()


def save(folder: Path, identity: Identity) -> None:
    """Keep an identity: the enrolment is done."""
    host.write_private(folder / IDENTITY, json.dumps(asdict(identity)))
    (folder / PENDING).unlink(missing_ok=True)


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


def _identity(folder: Path, raw: Mapping[str, Any]) -> Identity:
    """What a file says, where it says all of it: the values travel in headers."""
    values = {each.name: raw.get(each.name) for each in fields(Identity)}
    epoch = values.pop("epoch")
    texts = {name: text for name, text in values.items() if isinstance(text, str) and text.isascii()}
    if len(texts) < len(values) or not all(texts.values()) or type(epoch) is not int or not 0 < epoch < 2**63:
        raise _damaged(folder)
    return Identity(epoch=epoch, **texts)


def _damaged(folder: Path) -> SettingsError:
    return SettingsError(f"The file {folder / IDENTITY} is damaged.", "Enrol again with a new ticket.")


def wipe(folder: Path, why: str) -> None:
    """Forget the secret of a connector that the service does not accept any more; ``why`` stays for people to read."""
    host.write_private(folder / IDENTITY, json.dumps({"replaced": why}))


def secret_for(folder: Path, ticket: str) -> str:
    """The secret to enrol with: the same again for the same ticket, so that a lost answer is no dead end."""
    key = hashlib.sha256(ticket.encode()).hexdigest()
    path = folder / PENDING
    try:
        pending = json.loads(path.read_text(encoding="utf-8"))
        if pending["ticket"] == key:
            return str(pending["secret"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    secret = new_secret()
    host.write_private(path, json.dumps({"ticket": key, "secret": secret}))
    return secret


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
    """Makes the headers that prove who asks. ``correct`` takes the service's clock where this host's is off."""

    def __init__(self, identity: Identity, instance_id: str) -> None:
        self._identity = identity
        self.instance = instance_id
        self._offset = timedelta()

    def correct(self, server_time: datetime) -> None:
        """Count from the service's clock from now on; this host's own is left alone."""
        self._offset = server_time - datetime.now(UTC)

    def now(self) -> datetime:
        """This moment on the service's clock, as far as it is known."""
        return datetime.now(UTC) + self._offset

    def headers(self, method: str, path: str, body: bytes) -> Mapping[str, str]:  # noqa: ARG002 - a signature covers them
        """The headers of one request: ``path`` with its query, ``body`` as sent."""
        identity = self._identity
        return {
            "Gatepost-Key": f"{identity.tenant}/{identity.connector}",
            "Gatepost-Epoch": str(identity.epoch),
            "Gatepost-Instance": self.instance,
            "Gatepost-Time": iso(self.now()) or "",
            "Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:",
            "Authorization": f"Bearer {identity.secret}",
        }

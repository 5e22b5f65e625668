"""The certificate, renewed in time with a new key.

Each step leaves the connector with an identity that works, wherever it is cut off. The new key is on the disk before it
is sent, so that the same one is asked for again; the old identity is good until the new one has signed a request, which
nobody does before the new one is on the disk.
"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from gatepost.connector import credentials, host, log
from gatepost.connector.answers import not_the_service
from gatepost.connector.credentials import Credentials, Identity
from gatepost.connector.keys import Certificate, Key
from gatepost.connector.uplink import Uplink
from gatepost.errors import UplinkError

PAUSE = 60.0  # seconds between attempts while the certificate is still good
MARGIN = timedelta(minutes=2)


class Renewal:
    """Keeps one connector's certificate young. Not safe for several threads."""

    def __init__(self, folder: Path, identity: Identity, uplink: Uplink, keys: Credentials) -> None:
        self._folder = folder
        self._identity = identity
        self._uplink = uplink
        self._keys = keys
        self._not_before = 0.0
        self._trouble = log.Outage("the renewal of the certificate")

    @property
    def due(self) -> bool:
        """Whether less than a third of the certificate's life is left."""
        certificate = self._keys.certificate
        return certificate.ends - self._keys.now() < (certificate.ends - certificate.begins) / 3

    def look(self) -> None:
        """Renew where it is due; while the old certificate is good, a failure only waits for the next time.

        Raises what is in the way where it is good no more, StoreError where the disk is.
        """
        if not self.due or host.monotonic() < self._not_before:
            return
        try:
            self._renew()
        except UplinkError as error:
            if self._keys.certificate.ends - self._keys.now() < MARGIN:
                raise
            self._trouble.failed(str(error))
            self._not_before = host.monotonic() + PAUSE
        else:
            self._trouble.worked()

    def _renew(self) -> None:
        key = credentials.next_key(self._folder, self._identity)
        certificate = self._uplink.renew(Key(key).request())
        if not Key(key).fits(Certificate(certificate)):
            raise not_the_service("its certificate is for another key")
        identity = replace(self._identity, key=key, certificate=certificate)
        with self._keys.changing:
            credentials.save(self._folder, identity)
            self._keys.use(identity)
        self._identity = identity
        log.info("certificate renewed", until=self._keys.certificate.ends.isoformat())

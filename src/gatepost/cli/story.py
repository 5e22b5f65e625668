"""The story that ``gatepost demo`` tells: one phone's life, seen from four sides that must agree at every step.

A phone appears, is quarantined, its person is told so in Dutch; it is enrolled and complies, and is let in; it falls
out of compliance, its person is warned, and when the grace is over it is blocked. What API and console say (desired,
applied, effective), what Exchange has (state and lists), its administrator audit log and the person's mailbox are
compared.
"""

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from gatepost.errors import GatepostError

GRACE_SECONDS = 8
PATIENCE = 90.0
LOOK_SECONDS = 0.25
PILOT = "demo-pilot"
LEVELS = ("leave", "allow", "quarantine", "block")
MARKER = "X-Gatepost-Notice"
COOKIE = "gatepost"  # of a console on the loopback, without TLS
SHOWN = re.compile(r'<dt>(Desired|Applied|Effective)</dt>\s*<dd>.*?data-value="([^"]*)"', re.DOTALL)


@dataclass(frozen=True)
class Api:
    """The service's API, as a script uses it."""

    console: str
    token: str = field(repr=False)

    @classmethod
    def sign_in(cls, console: str, tenant: str, name: str, password: str) -> "Api":
        """A session. Raises GatepostError."""
        asked = {"tenant": tenant, "name": name, "password": password}
        return cls(console, cls(console, "").call("POST", "/api/v1/sessions", asked)["token"])

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Ask for something; its JSON, None where there is none. Raises GatepostError with the service's words."""
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        text = self._ask(method, path, headers, None if body is None else json.dumps(body).encode())
        return json.loads(text) if text else None

    def page(self, path: str) -> str:
        """A page of the console, as the administrator's browser gets it. Raises GatepostError."""
        cookies = {"Cookie": f"{COOKIE}={self.token}", "Accept-Language": "en"}
        return self._ask("GET", path, cookies, None).decode()

    def _ask(self, method: str, path: str, headers: dict[str, str], data: bytes | None) -> bytes:
        request = urllib.request.Request(self.console + path, data, headers, method=method)  # noqa: S310 - our own
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own service
                text: bytes = answer.read()
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            raise GatepostError(
                f"The service refuses {method} {path} ({error.code}): {said}", "See its log."
            ) from error
        except OSError as error:
            raise GatepostError(f"The service does not answer {method} {path}: {error}.", "See its log.") from error
        return text


@dataclass(frozen=True)
class Step:
    """What must be so: ``desired`` and ``applied`` levels, Exchange's ``state``, and how many writes and mails."""

    name: str
    words: str
    desired: str
    applied: str
    state: str
    writes: int
    mails: int


STEPS = {
    "quarantined": Step("quarantined", "quarantined, and its person told", "quarantine", "leave", "Quarantined", 0, 1),
    "allowed": Step("allowed", "enrolled and compliant: allowed, and told", "allow", "allow", "Allowed", 1, 2),
    "warned": Step("warned", "no longer compliant: warned, in its grace", "allow", "allow", "Allowed", 1, 3),
    "blocked": Step("blocked", "the grace is over: blocked, and told", "block", "block", "Blocked", 2, 4),
}


class Story:
    """Tells the story at one tenant. ``hand`` does something by hand at the lab, ``timed`` times and tells a step."""

    def __init__(
        self,
        api: Api,
        hand: Callable[..., dict[str, Any]],
        timed: Callable[[str, str], AbstractContextManager[None]],
        watch: Callable[[], None],
    ) -> None:
        self._api = api
        self._hand = hand
        self._timed = timed
        self._watch = watch
        self._phone: Mapping[str, Any] = {}
        self._device = ""

    def prepare(self) -> None:
        """A person who reads Dutch, a pilot group, a source of compliance, and a policy for that group."""
        person = self._hand(do="person")
        self._person = person
        self._api.call("PUT", "/api/v1/groups", {"groups": [{"id": PILOT, "name": "Pilot"}]})
        told = {"id": person["mailbox"], "smtp": [person["mailbox"]], "display_name": person["display_name"]}
        self._api.call("PUT", "/api/v1/people", {"people": [{**told, "language": "nl", "groups": [PILOT]}]})
        made = self._api.call("GET", "/api/v1/groups")["groups"]
        group = next(each["group"] for each in made if each["id"] == PILOT)
        name = f"Demo {uuid4().hex[:6]}"
        self._source = self._api.call("POST", "/api/v1/sources", {"name": name})["id"]
        self._report("noncompliant", "someone-elses-phone", [])
        grace = {"unmanaged": 0, "noncompliant": GRACE_SECONDS, "warn": GRACE_SECONDS}
        document = {"enabled": True, "included": [group], "grace": grace}
        saved = self._api.call("POST", "/api/v1/policies", {"document": document, "note": "The demo's story"})
        self._api.call("POST", "/api/v1/policies/rollout", {"version": saved["version"], "ring": "all"})

    def tell(self) -> dict[str, int]:
        """All of it, step by step; how many writes Exchange saw, and how many notices the person got."""
        with self._timed("quarantined", f"A phone of {self._person['display_name']} appears"):
            self._phone = self._hand(do="appear", mailbox=self._person["mailbox"], discovery=0)
            self._agree(STEPS["quarantined"])
        with self._timed("allowed", "It is enrolled and complies"):
            self._report("compliant", "the-phone", [self._phone["device_id"]])
            self._agree(STEPS["allowed"])
        with self._timed("warned", "It complies no longer"):
            self._report("noncompliant", "the-phone", [self._phone["device_id"]])
            self._agree(STEPS["warned"])
        with self._timed("blocked", "Its grace ends"):
            seen = self._agree(STEPS["blocked"])
        return {"changes": len(seen["writes"]), "notices": len(_ours(seen))}

    def decisions(self) -> dict[str, int]:
        """How many devices have each level; what nothing was decided of is left alone."""
        counted = dict.fromkeys(LEVELS, 0)
        for each in self._api.call("GET", "/api/v1/report?limit=1")["counts"]:
            counted[each["level"] if each["level"] in LEVELS else "leave"] += each["devices"]
        return counted

    def _report(self, state: str, name: str, ids: list[str]) -> None:
        record = {"id": name, "state": state, "device_ids": ids, "user": self._person["mailbox"], "name": "Phone"}
        self._api.call("PUT", f"/api/v1/sources/{self._source}/records", {"records": [record]})

    def _agree(self, step: Step) -> dict[str, Any]:
        """Wait until every side says what must be so; what Exchange has. Raises GatepostError with what differs."""
        end = time.monotonic() + PATIENCE
        while True:
            self._watch()
            seen = self._hand(do="look", device=self._phone["guid"])
            said = {**_exchange(seen), **self._service()}
            wanted = {
                **_exchange_wanted(step),
                "desired": step.desired,
                "applied": step.applied,
                "effective": step.state,
            }
            differs = {name: said.get(name) for name, value in wanted.items() if said.get(name) != value}
            if not differs:
                return seen
            if time.monotonic() > end:
                raise GatepostError(
                    f"The sides do not agree within {PATIENCE:.0f} s that the phone is {step.words}: {differs}, "
                    f"wanted { ({name: wanted[name] for name in differs}) }.",
                    "Look at the logs in the demo's folder.",
                )
            time.sleep(LOOK_SECONDS)

    def _service(self) -> dict[str, Any]:
        """What the API says of the phone; nothing while it does not know it."""
        if not self._device:
            found = self._api.call("GET", f"/api/v1/devices?q={self._phone['guid']}")["devices"]
            if not found:
                return {}
            self._device = f"{found[0]['organization_id']}/{self._phone['guid']}"
        told = self._api.call("GET", f"/api/v1/devices/{self._device}")
        levels = {name: (told.get(name) or {}).get("level") for name in ("desired", "applied")}
        shown = SHOWN.findall(self._api.page(f"/devices/{self._device}"))
        return {
            **levels,
            "effective": (told.get("effective") or {}).get("state"),
            "console": {name.lower(): value for name, value in shown},
        }


def _ours(seen: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The notices in the person's Inbox, by their marker."""
    return [mail for mail in seen["mails"] if MARKER.casefold() in {name.casefold() for name in mail["headers"]}]


def _exchange(seen: Mapping[str, Any]) -> dict[str, Any]:
    """What Exchange has, as it is compared."""
    mails = _ours(seen)
    return {
        "state": seen["state"],
        "allowed": seen["allowed"],
        "blocked": seen["blocked"],
        "writes": len(seen["writes"]),
        "mails": len(mails),
        "dutch": all('lang="nl"' in mail["body"] for mail in mails),
    }


def _exchange_wanted(step: Step) -> dict[str, Any]:
    lists = {"allowed": step.applied == "allow", "blocked": step.applied == "block"}
    return {"state": step.state, **lists, "writes": step.writes, "mails": step.mails, "dutch": True}

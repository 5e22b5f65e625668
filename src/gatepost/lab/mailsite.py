"""The pages about mail beside remote PowerShell: which paths are theirs, and what goes wrong there."""

from dataclasses import dataclass

from gatepost.lab import autodiscover, ews
from gatepost.lab.dialects import Fault
from gatepost.lab.endings import Ending
from gatepost.lab.faults import Faults
from gatepost.lab.mailroom import DOMAIN, Mailroom

KIND = "text/xml; charset=utf-8"
ELSEWHERE = "https://elsewhere.example/autodiscover/autodiscover.xml"


@dataclass(frozen=True, slots=True)
class Page:
    """A status, a body and how it ends; ``location`` is where a redirect leads; ``hangs``: never answered at all."""

    status: int
    body: bytes = b""
    ending: Ending = Ending.WHOLE
    location: str = ""
    hangs: bool = False


class MailSite:
    """EWS and Autodiscover of one lab."""

    def __init__(self, mailroom: Mailroom, faults: Faults) -> None:
        self._mailroom = mailroom
        self._faults = faults
        self._services = ews.Services(mailroom, faults)

    def serves(self, path: str) -> bool:
        """Whether a path is one of these pages."""
        return path.lower() in {ews.PATH, autodiscover.PATH}

    def before(self, path: str) -> Page | None:
        """What is answered before anybody has signed in, where a fault says so."""
        if path.lower() != autodiscover.PATH:
            return None
        if self._faults.strikes(Fault.AUTODISCOVER_MISSING):
            return Page(404)
        if self._faults.strikes(Fault.AUTODISCOVER_ELSEWHERE):
            return Page(302, location=ELSEWHERE)
        return Page(0, hangs=True) if self._faults.strikes(Fault.AUTODISCOVER_HANG) else None

    def answer(self, path: str, data: bytes, host: str) -> Page:
        """The answer to who has signed in; ``host`` is the name and port that were asked."""
        if path.lower() == autodiscover.PATH:
            url = f"https://{host}/EWS/Exchange.asmx"
            return Page(200, autodiscover.answer(data, self._mailroom, url, self._moved()))
        status, body = self._services.answer(data)
        lost = self._faults.strikes(Fault.MAIL_LOST)
        return Page(status, body, Ending.RESET if lost else Ending.WHOLE)

    def _moved(self) -> str:
        if self._faults.strikes(Fault.AUTODISCOVER_MOVED):
            return ELSEWHERE
        return f"notices@{DOMAIN}" if self._faults.strikes(Fault.AUTODISCOVER_RENAMED) else ""

"""What set-up asks, as data: in a terminal one after the other, or as the keys of a file of answers.

An answer is text; none is the empty text. A password is asked for in a terminal, and named by file everywhere else:
its key there is the question's name and ``_file``.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from gatepost.connector import secrets
from gatepost.errors import SettingsError
from gatepost.settings import AUTH_METHODS, MODES, NoticeSettings, UplinkSettings, refuse_exchange_online

Answers = Mapping[str, str]
AUTODISCOVER = "autodiscover"
HOSTED, ON_PREMISES = "hosted", "on-premises"
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*\.?")


class Group(StrEnum):
    """What ``--change`` takes: the questions of one subject."""

    SERVER = "server"
    ACCOUNT = "account"
    PROXY = "proxy"
    NOTICES = "notices"
    MODE = "mode"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Question:
    """One question. ``password`` is the name of the secret that it asks for.

    ``applies`` says whether it is to be asked, by the answers so far. ``check`` raises SettingsError on an answer that
    cannot be used; an empty one is checked only by ``needed``: whether there must be one.
    """

    name: str
    group: Group
    asks: str
    help: str
    default: str = ""
    choices: tuple[str, ...] = ()
    password: str = ""
    applies: Callable[[Answers], bool] = lambda _: True
    needed: Callable[[Answers], bool] = lambda _: False
    check: Callable[[str], None] = lambda _: None

    @property
    def key(self) -> str:
        """Its key in a file of answers."""
        return f"{self.name}_file" if self.password else self.name

    def refuse(self, answer: str) -> None:
        """Raise SettingsError where an answer cannot be used."""
        if self.choices and answer and answer not in self.choices:
            raise SettingsError(f"{answer!r} is none of the choices.", f"Choose one of {', '.join(self.choices)}.")
        if answer:
            self.check(answer)


def proxy_url(answer: str) -> str:
    """The address of a proxy as the settings have it, from ``host:port`` or an address."""
    return answer if not answer or "://" in answer else f"http://{answer}"


def exchange_url(server: str, auth: str) -> str:
    """The endpoint of remote PowerShell at a server: http where Kerberos seals each message, as Exchange has it."""
    return server if "://" in server else f"{'http' if auth == 'kerberos' else 'https'}://{server}/PowerShell"


def _always(_: Answers) -> bool:
    return True


def _where(name: str) -> Callable[[Answers], bool]:
    return lambda answers: bool(answers.get(name))


def _server(answer: str) -> None:
    host = (urlsplit(answer).hostname or "") if "://" in answer else answer
    if "://" in answer and not answer.lower().startswith(("http://", "https://")):
        raise SettingsError(f"{answer} is not the address of a web server.", "Begin it with https:// or http://.")
    if "@" in answer:
        raise SettingsError("There is a user in the address.", "Leave that out: the account is asked for later.")
    if not _NAME.fullmatch(host) and not ("://" in answer and ":" in host):
        raise SettingsError(
            f"{answer!r} is neither the name of a server nor an address.",
            "Give a name such as ex1.example.com, or an address such as https://ex1.example.com/PowerShell.",
        )
    refuse_exchange_online(host, f"The server is {host}")


def _account(answer: str) -> None:
    if not re.fullmatch(r"[^\\@\s]+\\[^\\@]+|[^\\@\s]+@[^\\@\s]+", answer):
        raise SettingsError(f"{answer!r} is not an account.", r"Write it as DOMAIN\user or as user@domain.")


def _proxy(answer: str) -> None:
    try:
        UplinkSettings(url="https://service", proxy=proxy_url(answer))
        fine = urlsplit(proxy_url(answer)).port is not None
    except (SettingsError, ValueError):
        fine = False
    if not fine:
        raise SettingsError(
            f"{answer.rpartition('@')[2]!r} is not the address of a proxy.",
            "Write it as proxy.example.com:3128, without a user: that is asked for by itself.",
        )


def _service(answer: str) -> None:
    UplinkSettings(url=answer)
    split = urlsplit(answer)
    if split.scheme not in {"http", "https"} or not split.hostname:
        raise SettingsError(f"{answer} is not the service's address.", "Give one such as https://gatepost.example.com.")


def _mailbox(answer: str) -> None:
    NoticeSettings(account=answer)


def _ews(answer: str) -> None:
    if answer.lower() != AUTODISCOVER:
        NoticeSettings(account="someone@example.com", url=answer)


def _file(answer: str) -> None:
    if not Path(answer).is_file():
        raise SettingsError(f"There is no file {answer}.", "Check the path.")


def _scope(answer: str) -> None:
    for entry in scope_of(answer):
        if entry != "*" and not re.fullmatch(r"[^@\s]*@[^@\s]+", entry):
            raise SettingsError(
                f"{entry!r} is not a part of the scope.", "Give addresses, @domain for all of one, or * for all."
            )


def scope_of(answer: str) -> tuple[str, ...]:
    """The parts of a scope, from text with commas."""
    return tuple(part.strip() for part in answer.split(",") if part.strip())


def _signs_in_at_exchange_proxy(answers: Answers) -> bool:
    return bool(answers.get("exchange_proxy")) and bool(answers.get("exchange_proxy_user"))


def _signs_in_at_service_proxy(answers: Answers) -> bool:
    return bool(answers.get("service_proxy")) and bool(answers.get("service_proxy_user"))


def _by_password(answers: Answers) -> bool:
    return answers.get("auth") != "kerberos"


QUESTIONS = (
    Question(
        "environment", Group.SERVER, "Where does Exchange run",
        "on-premises: servers of your own; hosted: a provider runs it for you, reached over the Internet.",
        ON_PREMISES, (ON_PREMISES, HOSTED), needed=_always,
    ),
    Question(
        "server", Group.SERVER, "Exchange server",
        "The name of a client access server, such as ex1.example.com, or its full address. Hosted: the provider's"
        " portal or letter names the address of remote PowerShell; else use Outlook on the web's server.",
        needed=_always, check=_server,
    ),
    Question(
        "exchange_ca_file", Group.SERVER, "CA file for Exchange",
        "PEM certificates to trust for Exchange in place of the system's own. Empty: the system's.", check=_file,
    ),
    Question(
        "auth", Group.ACCOUNT, "Sign-in at Exchange by",
        "kerberos: Exchange's default, needs the server's own name; negotiate: Kerberos or NTLM; basic: where it was"
        " switched on, over https only.",
        "negotiate", AUTH_METHODS, needed=_always,
    ),
    Question(
        "exchange_user", Group.ACCOUNT, "Exchange account",
        r"The account that Gatepost works by, as DOMAIN\user or user@domain.", needed=_by_password, check=_account,
    ),
    Question(
        "keytab", Group.ACCOUNT, "Key table",
        "A file with the account's key, in place of a password; a copy is kept in the connector's folder.",
        applies=lambda answers: answers.get("auth") == "kerberos", check=_file,
    ),
    Question(
        "exchange_password", Group.ACCOUNT, "Its password", "It is sealed in the connector's folder.",
        password=secrets.EXCHANGE, applies=lambda answers: not answers.get("keytab"), needed=_by_password,
    ),
    Question(
        "exchange_proxy", Group.PROXY, "Proxy to Exchange",
        "Address and port of an HTTP proxy, such as proxy.example.com:3128. Empty: none.",
        applies=lambda answers: answers.get("environment") != ON_PREMISES or bool(answers.get("exchange_proxy")),
        check=_proxy,
    ),
    Question(
        "exchange_proxy_user", Group.PROXY, "User at that proxy", "Empty: it asks for none.",
        applies=_where("exchange_proxy"),
    ),
    Question(
        "exchange_proxy_password", Group.PROXY, "Its password", "It is sealed in the connector's folder.",
        password=secrets.EXCHANGE_PROXY, applies=_signs_in_at_exchange_proxy, needed=_always,
    ),
    Question(
        "service_proxy", Group.PROXY, "Proxy to the service",
        "Address and port of an HTTP proxy on the way to the Gatepost service. Empty: none.", check=_proxy,
    ),
    Question(
        "service_proxy_user", Group.PROXY, "User at that proxy", "Empty: it asks for none. Gatepost signs in by Basic.",
        applies=_where("service_proxy"),
    ),
    Question(
        "service_proxy_password", Group.PROXY, "Its password", "It is sealed in the connector's folder.",
        password=secrets.SERVICE_PROXY, applies=_signs_in_at_service_proxy, needed=_always,
    ),
    Question(
        "notices_account", Group.NOTICES, "Mailbox that sends notices",
        "Its address, such as gatepost@example.com. Empty: no mail is sent to users.", check=_mailbox,
    ),
    Question(
        "notices_user", Group.NOTICES, "Who signs in for it", "Empty: the address itself.",
        applies=_where("notices_account"), check=_account,
    ),
    Question(
        "notices_password", Group.NOTICES, "Its password", "It is sealed in the connector's folder.",
        password=secrets.NOTICES, applies=_where("notices_account"), needed=_always,
    ),
    Question(
        "ews", Group.NOTICES, "Exchange Web Services",
        "autodiscover finds them; or give a fixed address, such as https://mail.example.com/EWS/Exchange.asmx.",
        AUTODISCOVER, applies=_where("notices_account"), needed=_always, check=_ews,
    ),
    Question(
        "mode", Group.MODE, "Mode", "observe: nothing is written to Exchange; enforce: lists of mailboxes are changed.",
        "observe", MODES, needed=_always,
    ),
    Question(
        "scope", Group.MODE, "Scope",
        "The mailboxes that may be written: addresses, @domain, with commas between; * is all.",
        "*", needed=_always, check=_scope,
    ),
    Question(
        "service", Group.SERVICE, "Address of the service", "Such as https://gatepost.example.com.",
        needed=_always, check=_service,
    ),
    Question(
        "service_ca_file", Group.SERVICE, "CA file for the service",
        "PEM certificates to trust for the service in place of the system's own. Empty: the system's.", check=_file,
    ),
)  # fmt: skip


def of_group(group: Group | None) -> tuple[Question, ...]:
    """The questions of one subject, or all."""
    return tuple(question for question in QUESTIONS if group is None or question.group is group)

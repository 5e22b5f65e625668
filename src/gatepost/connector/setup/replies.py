"""Answers to set-up's questions: from a file, from the settings as they are, and turned into settings.

A file of answers is TOML with the questions' names as keys. All that is wrong with one is told at once, by key.
"""

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from gatepost.connector import secrets
from gatepost.connector.passwords import Passwords
from gatepost.connector.setup.questions import (
    AUTODISCOVER,
    HOSTED,
    ON_PREMISES,
    QUESTIONS,
    Group,
    Question,
    exchange_url,
    of_group,
    proxy_url,
    scope_of,
)
from gatepost.errors import SettingsError
from gatepost.settings import ConnectorSettings, ExchangeSettings, NoticeSettings, UplinkSettings, read_secret

TEXTS = ("ticket_file", "service_fingerprint")
SWITCHES = ("replace", "delete_password_files")


@dataclass(frozen=True, slots=True)
class Replies:
    """What was answered: ``values`` by question, ``passwords`` newly given, by the name of the secret.

    ``files`` are where those passwords were read. ``extra`` has what is no question: the ticket's file and the
    service's fingerprint; ``switches`` are those that are on.
    """

    values: Mapping[str, str]
    passwords: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: tuple[Path, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)
    switches: frozenset[str] = frozenset()


def present(settings: ConnectorSettings | None) -> dict[str, str]:
    """The answers that the settings stand for; each question's default where there are none."""
    found = {question.name: question.default for question in QUESTIONS}
    if settings is None:
        return found
    exchange, service, notices = settings.exchange, settings.service, settings.notices
    found |= {
        "environment": HOSTED if exchange.proxy else ON_PREMISES,
        "server": exchange.url,
        "exchange_ca_file": _text(exchange.ca_file),
        "auth": exchange.auth,
        "exchange_user": _text(exchange.user),
        "keytab": _text(exchange.keytab),
        "exchange_proxy": _text(exchange.proxy),
        "exchange_proxy_user": _text(exchange.proxy_user),
        "service_proxy": _text(service.proxy),
        "service_proxy_user": _text(service.proxy_user),
        "mode": settings.mode,
        "scope": ", ".join(settings.scope),
        "service": service.url,
        "service_ca_file": _text(service.ca_file),
    }
    if notices is not None:
        found |= {
            "notices_account": notices.account,
            "notices_user": _text(notices.user),
            "ews": notices.url or AUTODISCOVER,
        }
    return found


def passwords_kept(settings: ConnectorSettings | None) -> dict[str, str]:
    """The passwords that a connector has now, by the name of the secret; one that cannot be read is not there."""
    if settings is None:
        return {}
    passwords = Passwords(settings)
    ways = {
        secrets.EXCHANGE: passwords.exchange,
        secrets.EXCHANGE_PROXY: passwords.exchange_proxy,
        secrets.SERVICE_PROXY: passwords.service_proxy,
        secrets.NOTICES: passwords.notices,
    }
    found = {}
    for name, find in ways.items():
        with suppress(SettingsError):
            found[name] = find()
    return {name: value for name, value in found.items() if value is not None}


def read(path: Path, before: Mapping[str, str], kept: Mapping[str, str], group: Group | None = None) -> Replies:
    """The answers in a file; what it leaves out stays as it is. Relative paths count from the file's folder.

    A password's file that is gone is no fault where the password is ``kept`` already: set-up may be run again after
    it deleted the file. Raises SettingsError, which tells of everything that is wrong with the file, by key.
    """
    raw, asked = _toml(path), of_group(group)
    values, passwords, files, wrong = dict(before), dict[str, str](), list[Path](), list[str]()
    known = {question.key for question in asked} | ({*TEXTS, *SWITCHES} if group is None else {SWITCHES[1]})
    wrong += [f"{key}: unknown" for key in sorted(raw.keys() - known)]
    for question in asked:
        if question.key not in raw:
            continue
        try:
            answer = _answer(question, raw[question.key], path.parent)
            if question.password:
                passwords |= _password(question, Path(answer), kept)
                files.append(Path(answer))
            else:
                question.refuse(answer)
                values[question.name] = answer
        except SettingsError as error:
            wrong.append(f"{question.key}: {error}")
    wrong += [f"{key}: it is true or false" for key in SWITCHES if not isinstance(raw.get(key, False), bool)]
    wrong += [f"{key}: it is text" for key in TEXTS if not isinstance(raw.get(key, ""), str)]
    told = {entry.partition(":")[0] for entry in wrong}
    wrong += [f"{key}: missing" for key in missing(asked, values, {**kept, **passwords}) if key not in told]
    if wrong:
        raise SettingsError(
            f"The file of answers {path} cannot be used. {'; '.join(wrong)}.", "Mend these keys; nothing was changed."
        )
    extra = {key: str(raw[key]) for key in TEXTS if raw.get(key)}
    if "ticket_file" in extra:
        extra["ticket_file"] = str(path.parent / extra["ticket_file"])
    return Replies(values, passwords, tuple(files), extra, frozenset(key for key in SWITCHES if raw.get(key) is True))


def missing(asked: tuple[Question, ...], values: Mapping[str, str], passwords: Mapping[str, str]) -> Iterator[str]:
    """The keys of questions that need an answer and have none."""
    for question in asked:
        there = question.password in passwords if question.password else values.get(question.name)
        if not there and question.applies(values) and question.needed(values):
            yield question.key


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"The file of answers {path} cannot be read: {error.strerror}.", "Check the path and its rights."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The file of answers {path} is not TOML: {error}.", "Mend that line.") from error


def _answer(question: Question, value: object, base: Path) -> str:
    """An answer as text: lists with commas, files from the folder of the answers. Raises SettingsError."""
    if question.name == "scope" and isinstance(value, list):
        value = ", ".join(map(str, value))
    if not isinstance(value, str) or not value.isprintable():
        raise SettingsError("it is text")
    is_file = bool(question.password) or question.name == "keytab" or question.name.endswith("_file")
    return str(base / value) if is_file and value else value


def _password(question: Question, file: Path, kept: Mapping[str, str]) -> dict[str, str]:
    try:
        return {question.password: read_secret(file)}
    except SettingsError as error:
        if isinstance(error.__cause__, FileNotFoundError) and question.password in kept:
            return {}
        raise


# -- settings ----------------------------------------------------------------------------------------------------------


def settings_of(replies: Replies, before: ConnectorSettings | None, folder: Path) -> ConnectorSettings:
    """The settings that the answers ask for; what no question is about stays as it was. Raises SettingsError.

    A password that was newly given is among the secrets: then no setting names a file for it any more.
    """
    values = {
        question.name: replies.values.get(question.name, "") if question.applies(replies.values) else ""
        for question in QUESTIONS
    }
    exchange, service = _exchange(values, replies, before), _service(values, replies, before)
    return msgspec.structs.replace(
        before or ConnectorSettings(folder=folder, exchange=exchange, service=service),
        exchange=exchange,
        service=service,
        notices=_notices(values, replies, before),
        mode=values["mode"],
        scope=scope_of(values["scope"]),
    )


def _exchange(values: Mapping[str, str], replies: Replies, before: ConnectorSettings | None) -> ExchangeSettings:
    url = exchange_url(values["server"], values["auth"])
    old = before.exchange if before else ExchangeSettings(url=url)
    by_file = not values["keytab"] and secrets.EXCHANGE not in replies.passwords
    return msgspec.structs.replace(
        old,
        url=url,
        auth=values["auth"],
        user=values["exchange_user"] or None,
        keytab=_path(values["keytab"]),
        password_file=old.password_file if by_file else None,
        ca_file=_path(values["exchange_ca_file"]),
        proxy=proxy_url(values["exchange_proxy"]) or None,
        proxy_user=values["exchange_proxy_user"] or None,
        proxy_password_file=old.proxy_password_file
        if values["exchange_proxy_user"] and secrets.EXCHANGE_PROXY not in replies.passwords
        else None,
    )


def _service(values: Mapping[str, str], replies: Replies, before: ConnectorSettings | None) -> UplinkSettings:
    old = before.service if before else UplinkSettings(url=values["service"])
    return msgspec.structs.replace(
        old,
        url=values["service"],
        ca_file=_path(values["service_ca_file"]),
        proxy=proxy_url(values["service_proxy"]) or None,
        proxy_user=values["service_proxy_user"] or None,
        proxy_password_file=old.proxy_password_file
        if values["service_proxy_user"] and secrets.SERVICE_PROXY not in replies.passwords
        else None,
    )


def _notices(values: Mapping[str, str], replies: Replies, before: ConnectorSettings | None) -> NoticeSettings | None:
    if not values["notices_account"]:
        return None
    old = (before and before.notices) or NoticeSettings(account=values["notices_account"])
    return msgspec.structs.replace(
        old,
        account=values["notices_account"],
        user=values["notices_user"] or None,
        url=None if values["ews"].lower() == AUTODISCOVER else values["ews"],
        password_file=None if secrets.NOTICES in replies.passwords else old.password_file,
    )


def secrets_of(settings: ConnectorSettings, replies: Replies) -> dict[str, str | None]:
    """What changes among the secrets: the new passwords, and None for those that nothing needs any more."""
    needless = {
        secrets.EXCHANGE: settings.exchange.keytab is not None,
        secrets.EXCHANGE_PROXY: settings.exchange.proxy_user is None,
        secrets.SERVICE_PROXY: settings.service.proxy_user is None,
        secrets.NOTICES: settings.notices is None,
    }
    return {**replies.passwords, **{name: None for name, out in needless.items() if out}}


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _path(text: str) -> Path | None:
    return Path(text).absolute() if text else None

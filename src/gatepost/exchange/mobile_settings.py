"""The organization's mobile settings, and the classes of devices that it has met."""

from typing import Any

from gatepost.domain.devices import OrganizationSettings
from gatepost.domain.settings import DeviceClass
from gatepost.errors import CmdletFailed
from gatepost.exchange.calls import Calls
from gatepost.exchange.cmdlets import GET_DEVICE_CLASS, GET_ORGANIZATION_SETTINGS, SET_ORGANIZATION_SETTINGS
from gatepost.exchange.commands import NULL, Change
from gatepost.exchange.reading import moment, text, texts
from gatepost.exchange.transport import Permit


def settings(calls: Calls) -> OrganizationSettings:
    """The organization's mobile settings."""
    for level, recipients, mail, ota, name in calls.read(GET_ORGANIZATION_SETTINGS, **calls.at_configuration):
        return OrganizationSettings(text(level), texts(recipients), text(mail), text(ota), text(name))
    raise CmdletFailed(GET_ORGANIZATION_SETTINGS.name, "it answers nothing", server=calls.pool.server)


def change_settings(
    calls: Calls,
    permit: Permit,
    default_level: str | None,
    admin_recipients: tuple[str, ...] | None,
    user_mail_insert: str | None,
    ota_notification_insert: str | None,
    seen: OrganizationSettings | None = None,
) -> OrganizationSettings:
    """Change the mobile settings where they differ. None leaves one as it is; an empty text clears it.

    ``seen`` are the settings that the change was made for: where they are others by now, nothing is written.
    """
    before = settings(calls)
    if seen is not None and seen != before:
        return before
    needed: dict[str, Any] = {}
    if default_level is not None and default_level.casefold() != (before.default_level or "").casefold():
        needed["DefaultAccessLevel"] = default_level
    recipients = _change(before.admin_recipients, admin_recipients)
    if recipients:
        needed["AdminMailRecipients"] = recipients
    for name, there, wanted in (
        ("UserMailInsert", before.user_mail_insert, user_mail_insert),
        ("OtaNotificationMailInsert", before.ota_notification_insert, ota_notification_insert),
    ):
        if wanted is not None and wanted != (there or ""):
            needed[name] = wanted or NULL
    if not needed:
        return before
    return calls.written(SET_ORGANIZATION_SETTINGS, permit, lambda: settings(calls), **needed, **calls.at_configuration)


def device_classes(calls: Calls) -> list[DeviceClass]:
    """The types and models of devices that the organization has met."""
    rows = calls.read(GET_DEVICE_CLASS, **calls.at_configuration)
    return [DeviceClass(text(kind), text(model), moment(updated)) for kind, model, updated in rows]


def _change(there: tuple[str, ...], wanted: tuple[str, ...] | None) -> Change:
    """What makes a list of addresses another one; addresses are the same whatever their case."""
    if wanted is None:
        return Change()
    old, new = {entry.casefold() for entry in there}, {entry.casefold() for entry in wanted}
    return Change(
        tuple(entry for entry in wanted if entry.casefold() not in old),
        tuple(entry for entry in there if entry.casefold() not in new),
    )

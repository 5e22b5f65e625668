"""Every verb of an organization once, with every parameter that any of them sends: for tests of rights."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from gatepost.domain.devices import AccessChange
from gatepost.domain.settings import Setting
from gatepost.exchange.cmdlets import NEW_MAILBOX_POLICY
from gatepost.exchange.mailbox_settings import OLD_NAMES, SETTINGS
from gatepost.exchange.organization import Organization
from gatepost.lab.server import Lab
from tests.exchange.site import Permits, Site, phone

Verb = Callable[[Lab, Organization], None]
POLICY = "Made for the test of rights"
TEXTS: dict[str, tuple[Setting, Setting]] = {
    "AllowBluetooth": ("Allow", "Disable"),
    "AllowSMIMEEncryptionAlgorithmNegotiation": ("AllowAnyAlgorithmNegotiation", "BlockNegotiation"),
    "DevicePolicyRefreshInterval": ("Unlimited", "1.00:00:00"),
    "MaxAttachmentSize": ("Unlimited", "10 MB (10,485,760 bytes)"),
    "MaxCalendarAgeFilter": ("All", "TwoWeeks"),
    "MaxEmailAgeFilter": ("All", "OneMonth"),
    "MaxEmailBodyTruncationSize": ("Unlimited", "64"),
    "MaxEmailHTMLBodyTruncationSize": ("Unlimited", "64"),
    "MaxInactivityTimeLock": ("00:15:00", "00:05:00"),
    "MaxPasswordFailedAttempts": ("8", "6"),
    "MinPasswordComplexCharacters": ("1", "2"),
    "MinPasswordLength": ("4", "6"),
    "PasswordExpiration": ("Unlimited", "90.00:00:00"),
    "PasswordHistory": ("0", "3"),
    "RequireEncryptionSMIMEAlgorithm": ("TripleDES", "DES"),
    "RequireSignedSMIMEAlgorithm": ("SHA1", "MD5"),
    "ApprovedApplicationList": (("first.app:1",), ("second.app:2",)),
    "UnapprovedInROMApplicationList": (("rom.exe",), ("other.exe",)),
}
"""A value of each setting that is no switch, and another one."""


def read(lab: Lab, organization: Organization) -> None:
    """All that is read, whole and since a moment."""
    box = Site(lab, organization).mailbox()
    since = datetime.now(UTC) - timedelta(days=1)
    for moment in (None, since):
        list(organization.list_devices(moment))
        list(organization.list_mailboxes(moment))
    organization.recipients()
    device = phone(box).guid
    organization.statistics(device)
    list(organization.statistics_of([device]))
    organization.wipe_state(device, box.dn)
    organization.read_access(box.guid, box.dn)
    organization.mailbox_access(box.guid, box.dn)
    for listing in (organization.servers, organization.settings, organization.rules, organization.policies):
        listing()
    organization.device_classes()


def gate(lab: Lab, organization: Organization) -> None:
    """Both lists of a mailbox."""
    box = Site(lab, organization).mailbox()
    change = AccessChange(allow=("ABC1",), block=("ABC2",))
    assert organization.set_access(box.guid, box.dn, change, Permits()).allowed == ("ABC1",)


def settle(lab: Lab, organization: Organization) -> None:
    """The settings of a mailbox and of the organization, a rule, and a policy with all that policies have."""
    box = Site(lab, organization).mailbox()
    permit = Permits()
    policy = organization.policies()[0]
    wanted = _all(organization)
    made = organization.create_policy(POLICY, wanted, permit)
    organization.change_policy(made.guid, {name: _other(name, value) for name, value in wanted.items()}, permit)
    organization.set_mailbox(box.guid, box.dn, permit, eas_enabled=False, mailbox_policy=POLICY)
    organization.change_settings(permit, "Quarantine", ("someone@lab.example",), "insert", "other insert")
    rule = organization.create_rule("DeviceModel", "A phone of the test", "Block", permit)
    organization.change_rule(rule.guid, "Quarantine", permit)
    organization.remove_rule(rule.guid, permit)
    organization.set_mailbox(box.guid, box.dn, permit, mailbox_policy=policy.name)
    organization.remove_policy(made.guid, permit)


def _all(organization: Organization) -> dict[str, Setting]:
    """A value for every setting that this Exchange takes for a new policy."""
    taken = {
        name.lower() for each in NEW_MAILBOX_POLICY.names for name in organization.capabilities.cmdlets.get(each, ())
    }
    return {
        name: TEXTS[name][0] if name in TEXTS else True
        for name in SETTINGS
        if {name.lower(), OLD_NAMES.get(name, name).lower()} & taken
    }


def _other(name: str, value: Setting) -> Setting:
    return TEXTS[name][1] if name in TEXTS else not value


def wipe(lab: Lab, organization: Organization) -> None:
    """A wipe, its end, one of the account where this Exchange has it, and the removal of a device."""
    site, permit = Site(lab, organization), Permits()
    box = site.mailbox()
    device = phone(box).guid
    organization.wipe(device, box.dn, permit, ("someone@lab.example",))
    organization.cancel_wipe(device, box.dn, permit)
    if lab.settings.profile not in ("2010sp1", "2013"):
        organization.wipe_account(device, box.dn, permit)
    organization.remove_device(device, box.dn, permit)

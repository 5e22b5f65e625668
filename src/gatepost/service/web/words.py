"""The console's words for what the database names: states, reasons, kinds, fields; and text that may hold anything.

Each name becomes one text marked for translation, with a tone that picks its colour and sign. A name that is not listed
(Exchange may grow new ones) is shown as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatepost.service.web.check_names import CHECK_NAMES
from gatepost.service.web.i18n import N_, Language
from gatepost.service.web.reasons import REASON_NAMES, REASON_SENTENCES


@dataclass(frozen=True, slots=True)
class Word:
    """A text and its tone: good, bad, wait, info or none."""

    text: str
    tone: str = "none"


ACCESS_STATES = {
    "allowed": Word(N_("Allowed"), "good"),
    "blocked": Word(N_("Blocked"), "bad"),
    "quarantined": Word(N_("Quarantined"), "wait"),
    "discovery": Word(N_("Being identified"), "info"),
    "devicediscovery": Word(N_("Being identified"), "info"),
    "unknown": Word(N_("Unknown")),
    "gone": Word(N_("No longer in Exchange")),
    "off": Word(N_("ActiveSync is off"), "bad"),
}
FAMILIES = {
    "ios": Word(N_("iPhone and iPad")),
    "android": Word(N_("Android")),
    "outlook": Word(N_("Outlook app")),
    "windows": Word(N_("Windows")),
    "other": Word(N_("Other")),
}
REASONS = {
    "global": Word(N_("The organization's default")),
    "individual": Word(N_("A personal list of the mailbox")),
    "devicerule": Word(N_("A device access rule")),
    "upgrade": Word(N_("A device from before the server was upgraded")),
    "policy": Word(N_("The mailbox policy")),
    "unknown": Word(N_("Unknown")),
}
CONNECTION_STATES = {
    "pending": Word(N_("Waiting for its connector"), "wait"),
    "connected": Word(N_("Connected"), "good"),
    "disconnected": Word(N_("Not connected"), "bad"),
    "replaced": Word(N_("Replaced"), "wait"),
    "removing": Word(N_("Being removed"), "wait"),
    "removed": Word(N_("Removed")),
}
PREREQUISITES = {
    "permission": Word(N_("You may set up a connection")),
    "authority": Word(N_("The management authority is chosen")),
    "directory": Word(N_("Directory synchronisation has run")),
    "address": Word(N_("Connectors reach this service over an encrypted address")),
    "package": Word(N_("A connector is here to download")),
}
STANDINGS = {
    "met": Word(N_("Met"), "good"),
    "partly": Word(N_("Met for this machine"), "wait"),
    "unmet": Word(N_("Not met"), "bad"),
    "absent": Word(N_("Not set up"), "none"),
}
PLATFORMS = {
    "linux_x86_64": Word(N_("Linux, 64-bit Intel or AMD")),
    "linux_aarch64": Word(N_("Linux, 64-bit ARM")),
    "win_amd64": Word(N_("Windows, 64-bit")),
    "macosx_arm64": Word(N_("macOS, Apple processor")),
    "macosx_x86_64": Word(N_("macOS, Intel processor")),
}
SYNC_KINDS = {"full": Word(N_("Full")), "quick": Word(N_("Quick"))}
SYNC_STATES = {
    "open": Word(N_("Running"), "info"),
    "held": Word(N_("Held"), "wait"),
    "accepted": Word(N_("Accepted"), "info"),
    "sealed": Word(N_("Done"), "good"),
    "abandoned": Word(N_("Broken off"), "bad"),
}
MAILBOX_KINDS = {
    "user": Word(N_("User mailbox")),
    "linked": Word(N_("Linked mailbox")),
    "shared": Word(N_("Shared mailbox")),
    "room": Word(N_("Room mailbox")),
    "remote": Word(N_("Remote mailbox")),
    "disabled": Word(N_("Disabled account")),
    "gone": Word(N_("Mailbox is gone")),
}
LEVELS = {
    "leave": Word(N_("Hands off")),
    "allow": Word(N_("Allow"), "good"),
    "quarantine": Word(N_("Quarantine"), "wait"),
    "block": Word(N_("Block"), "bad"),
}
LEVELS_MEAN = {
    "leave": Word(N_("Exchange's own rules and its default decide.")),
    "allow": Word(N_("It has mail: Gatepost puts it on the mailbox's list of allowed devices.")),
    "quarantine": Word(N_("It waits, where Exchange's default or a rule of Exchange quarantines.")),
    "block": Word(N_("It has no mail: Gatepost puts it on the mailbox's list of blocked devices.")),
}
CLIENTS = {
    "native": Word(N_("The phone's own mail app")),
    "outlook": Word(N_("Outlook with an ID of its own")),
    "cloud-cache": Word(N_("Outlook through its cloud")),
}
MANAGED = {
    "compliant": Word(N_("Complies"), "good"),
    "noncompliant": Word(N_("Does not comply"), "bad"),
    "unmanaged": Word(N_("Not managed"), "wait"),
    "unknown": Word(N_("Unclear")),
}
UNITS = {
    "days": Word(N_("days")),
    "hours": Word(N_("hours")),
    "minutes": Word(N_("minutes")),
    "seconds": Word(N_("seconds")),
}
OPERATORS = {
    "<": Word(N_("older than")),
    "<=": Word(N_("at most")),
    "=": Word(N_("exactly")),
    ">=": Word(N_("at least")),
    ">": Word(N_("newer than")),
}
RINGS = {
    "pilot": Word(N_("The pilot group")),
    "1": Word(N_("1 % of the mailboxes")),
    "10": Word(N_("10 % of the mailboxes")),
    "all": Word(N_("Everybody")),
}
ROLLOUTS = {
    "rolling": Word(N_("Rolling out"), "info"),
    "stopped": Word(N_("Stopped"), "bad"),
    "done": Word(N_("In force"), "good"),
}
HALTS = {
    "held": Word(N_("By itself: people wait in a hold because of it.")),
    "lost": Word(N_("By itself: more people lost access than the preview said.")),
    "troubled": Word(N_("By itself: too many of its writes came to nothing.")),
    "silent": Word(N_("By itself: a connector is silent, so nobody knows what became of it.")),
}
APPLIED = {
    "leave": Word(N_("No entry of ours")),
    "allow": Word(N_("Allowed by our entry"), "good"),
    "block": Word(N_("Blocked by our entry"), "bad"),
}
RESULTS = {
    "waiting": Word(N_("Not worked on yet"), "info"),
    "applied": Word(N_("Written and read back"), "good"),
    "unchanged": Word(N_("Already so"), "good"),
    "conflict": Word(N_("In conflict"), "bad"),
    "refused": Word(N_("Refused by Exchange"), "bad"),
    "failed": Word(N_("Failed"), "bad"),
    "uncertain": Word(N_("Not certain yet"), "wait"),
    "observed": Word(N_("Observed only"), "wait"),
    "out-of-scope": Word(N_("Out of scope"), "wait"),
    "ceiling": Word(N_("Waits for the ceiling"), "wait"),
    "undone": Word(N_("Undone by somebody else"), "bad"),
}
OWNERSHIPS = {
    "intended": Word(N_("Wanted, and not there as last read"), "info"),
    "ours": Word(N_("Ours"), "good"),
    "presumed": Word(N_("Ours, very probably"), "wait"),
    "foreign": Word(N_("Somebody else's, not touched")),
    "withdrawn": Word(N_("Withdrawn")),
}
ROLES = {
    "reader": Word(N_("Reader")),
    "helpdesk": Word(N_("Help desk")),
    "operator": Word(N_("Operator")),
    "policy-author": Word(N_("Policy author")),
    "approver": Word(N_("Approver")),
    "administrator": Word(N_("Tenant administrator")),
}
ROLE_MAY = {
    "reader": N_("See connections, devices, policies, holds, people, compliance, entries and notices."),
    "helpdesk": N_("What a reader may, and ask for a synchronisation."),
    "operator": N_(
        "What the help desk may, and accept held inventories, pin devices, adopt entries, tell of people and "
        "compliance, stop all writing, set up alerts and read the audit trail."
    ),
    "policy-author": N_(
        "What a reader may, write policies and roll them out, manage notices, and read the audit trail."
    ),
    "approver": N_("What a reader may, decide what waits for a second person, and read the audit trail."),
    "administrator": N_("Everything, also set up and remove connections, and administer administrators."),
}
FACTORS = {
    "password": Word(N_("with a password")),
    "passkey": Word(N_("with a passkey")),
    "password+passkey": Word(N_("with a password and a passkey")),
}
ACCOUNTS = {
    "disabled": Word(N_("Disabled"), "bad"),
    "invited": Word(N_("Invited"), "info"),
    "invitation-over": Word(N_("Invitation ran out"), "wait"),
}
MODES = {"observe": Word(N_("Observes, writes nothing"), "wait"), "enforce": Word(N_("Enforces"), "good")}
CANNOT_PIN = {
    "gone": N_("It is no longer in Exchange."),
    "no-mailbox": N_("Exchange shows no mailbox for it, so there is no list that could hold it."),
    "elsewhere": N_("Its mailbox moved away or was disabled, so Exchange keeps no list here that could hold it."),
    "cloud-cache": N_(
        "Outlook's cloud shows all phones of a person under this one ID, so an entry could not stand for one device."
    ),
    "no-id": N_("It has no ID that a list could hold."),
    "removed": N_("The connection to its organization is being removed, or is removed."),
}
MISTAKES = {
    "level": N_("Choose whether to allow or to block."),
    "reason": N_("Say why, in at most 500 characters on one line."),
    "until": N_("The end must be a date and time in the future, within ten years."),
}
DEVICE_FIELDS = {
    "guid": N_("Exchange Guid"),
    "device_id": N_("Device ID"),
    "mailbox_guid": N_("Mailbox"),
    "identity": N_("Identity"),
    "friendly_name": N_("Name"),
    "device_type": N_("Type"),
    "model": N_("Model"),
    "os": N_("Operating system"),
    "os_language": N_("Language of the device"),
    "user_agent": N_("User agent"),
    "imei": N_("IMEI"),
    "phone_number": N_("Phone number"),
    "mobile_operator": N_("Mobile operator"),
    "client_type": N_("Protocol"),
    "client_version": N_("Protocol version"),
    "access_state": N_("Access"),
    "access_state_reason": N_("Decided by"),
    "access_control_rule": N_("Access rule"),
    "first_sync_at": N_("First sync with Exchange"),
    "changed_at": N_("Changed in Exchange"),
    "last_sync_attempt_at": N_("Last attempt"),
    "last_success_sync_at": N_("Last success"),
    "last_policy_update_at": N_("Policy last sent"),
    "policy_applied": N_("Mailbox policy"),
    "policy_status": N_("Policy status"),
    "status": N_("Status"),
    "wipe_requested_at": N_("Wipe requested"),
    "wipe_sent_at": N_("Wipe sent"),
    "wipe_acknowledged_at": N_("Wipe confirmed by the device"),
    "last_wipe_requestor": N_("Wipe requested by"),
    "folders_synced": N_("Folders synced"),
    "first_seen": N_("First seen by Gatepost"),
    "last_seen": N_("Last seen by Gatepost"),
    "changed_seen_at": N_("Change last seen by Gatepost"),
    "gone_at": N_("Gone since"),
    "family": N_("Family"),
}
DEVICE_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (N_("Device"), ("friendly_name", "family", "device_type", "model", "os", "os_language", "user_agent")),
    (
        N_("Sync with Exchange"),
        (
            "first_sync_at", "last_sync_attempt_at", "last_success_sync_at", "status", "folders_synced", "client_type",
            "client_version",
        ),
    ),
    (N_("Policy"), ("policy_applied", "policy_status", "last_policy_update_at")),
    (N_("Wipe"), ("wipe_requested_at", "wipe_sent_at", "wipe_acknowledged_at", "last_wipe_requestor")),
    (N_("Telephone"), ("imei", "phone_number", "mobile_operator")),
    (N_("Identification"), ("device_id", "guid", "identity")),
    (N_("Seen by Gatepost"), ("first_seen", "last_seen", "changed_seen_at", "changed_at", "gone_at")),
)  # fmt: skip
STATISTICS = (
    "last_sync_attempt_at", "last_success_sync_at", "status", "folders_synced", "policy_applied", "policy_status",
    "last_policy_update_at", "wipe_requested_at", "wipe_sent_at", "wipe_acknowledged_at", "last_wipe_requestor",
)  # fmt: skip
CHECKS = {
    "bad": Word(N_("Wrong"), "bad"),
    "warning": Word(N_("Look at this"), "wait"),
    "good": Word(N_("Fine"), "good"),
    "skipped": Word(N_("Not examined")),
}
STEPS = {
    "off": Word(N_("ActiveSync is off for the mailbox")),
    "behaviour": Word(N_("How the device behaves")),
    "policy": Word(N_("The mailbox policy")),
    "blocked-list": Word(N_("The mailbox's blocked list")),
    "allowed-list": Word(N_("The mailbox's allowed list")),
    "passing": Word(N_("What holds for a while")),
    "rule": Word(N_("A device access rule")),
    "default": Word(N_("The organization's default")),
}
LISTS = {"allow": Word(N_("Allowed devices")), "block": Word(N_("Blocked devices"))}
OWNERS = {
    "ours": Word(N_("Made by Gatepost")),
    "adopted": Word(N_("Adopted")),
    "foreign": Word(N_("Somebody else's")),
}
EFFECTS = {
    "gives": Word(N_("Gives access")),
    "takes": Word(N_("Takes access away")),
    "nothing": Word(N_("Makes no difference")),
    "unknown": Word(N_("Nobody can tell")),
    "no-device": Word(N_("Names no device in view")),
}
OBSTACLES = {
    "opposed": Word(N_("Against what Gatepost has published: it would be taken off at once.")),
    "spellings": Word(N_("It stands there in several spellings; nobody can tell which is meant.")),
    "too-long": Word(N_("Its ID is too long.")),
}
ADOPTIONS = {
    "all": Word(N_("All entries")),
    "group": Word(N_("A group's people")),
    "file": Word(N_("A file")),
}
LINE_FAULTS = {
    "no-mailbox": Word(N_("it names no mailbox.")),
    "no-id": Word(N_("it names no device ID.")),
    "list-unknown": Word(N_("its list is neither allowed nor blocked.")),
    "too-long": Word(N_("it is too long.")),
    "no-entry": Word(N_("no mailbox's list has this entry.")),
    "twice": Word(N_("it was named before.")),
    "odd": Word(N_("it has characters that cannot be.")),
    "mailbox-unknown": Word(N_("no mailbox in view has this address.")),
    "cloud-cache": Word(N_("it is Outlook's cloud, which stands for no single phone.")),
}
FILE_MISTAKES = {
    "none": Word(N_("Choose a file.")),
    "large": Word(N_("The file is larger than 512 KiB. Cut it in parts, or send it to the API.")),
    "long": Word(N_("The file has too many lines.")),
    "many": Word(N_("At most 5,000 devices can be pinned at once. Cut the file in parts.")),
    "no-csv": Word(N_("The file is no CSV.")),
    "encoding": Word(N_("The file is no text in UTF-8 or UTF-16.")),
    "no-mailbox": Word(N_("The first line must name the column of the mailbox's address: mailbox, user or email.")),
    "no-device-id": Word(N_("The first line must name the column of the device ID: device id.")),
    "how": Word(N_("Choose which entries.")),
    "group": Word(N_("Choose a group.")),
    "level": Word(N_("Choose whether to allow or to block.")),
    "reason": Word(N_("Say why, in at most 500 characters on one line.")),
    "until": Word(N_("The end must be a date and time in the future, within ten years.")),
}
DIFFERENCES = {
    "loses": Word(N_("Would lose access"), "bad"),
    "gains": Word(N_("Would gain access"), "good"),
    "other": Word(N_("Differs without access"), "wait"),
    "same": Word(N_("The same as Exchange"), "info"),
    "left": Word(N_("Left to Exchange")),
    "undecided": Word(N_("Not decided")),
}
PROSPECTS = {
    "unpinned": Word(N_("If the pin is removed")),
    "complies": Word(N_("If a compliance source says that it complies")),
    "fails": Word(N_("If a compliance source says that it does not comply")),
}
BEYOND = {
    "default-allows": Word(
        N_(
            "Exchange has no list of quarantined devices, and the organization's default level is allow: the device "
            "has access. Set the default to quarantine, or let the policy block."
        )
    ),
    "default-blocks": Word(
        N_(
            "Exchange has no list of quarantined devices, and the organization's default level is block: the device is "
            "blocked. Set the default to quarantine, or let the policy block."
        )
    ),
    "rule-allows": Word(N_("A device access rule of Exchange allows it, and rules go before the default.")),
    "rule-blocks": Word(N_("A device access rule of Exchange blocks it, and rules go before the default.")),
    "foreign-allow": Word(
        N_(
            "Somebody else put it on the mailbox's list of allowed devices. Take it off there: what Gatepost did not "
            "make stays as it is."
        )
    ),
    "foreign-block": Word(
        N_(
            "Somebody else put it on the mailbox's list of blocked devices. Take it off there: what Gatepost did not "
            "make stays as it is."
        )
    ),
    "unknown": Word(N_("The mailbox's lists, the access rules or the default level could not be read.")),
}
HOLDS = {
    "open": Word(N_("Waits for a second person"), "wait"),
    "approved": Word(N_("Approved"), "good"),
    "refused": Word(N_("Refused")),
    "over": Word(N_("Nothing left in it")),
}
HELD = {"held": Word(N_("Held")), "released": Word(N_("Let through")), "dropped": Word(N_("Decided otherwise since"))}
VERBS = {"take": Word(N_("Takes access away"), "bad"), "give": Word(N_("Gives access"), "good")}
CAUSES = {
    "policy": Word(N_("Policy version")),
    "rollout": Word(N_("Rollout of policy version")),
    "source": Word(N_("Compliance source")),
    "directory": Word(N_("People and groups")),
    "pins": Word(N_("Many pins at once")),
    "unpin": Word(N_("A pin that was removed")),
    "sync": Word(N_("Inventory")),
    "known": Word(N_("Devices were noted as known")),
    "time": Word(N_("A time limit that ended")),
}
SOURCE_STATES = {
    "new": Word(N_("Nothing told yet"), "wait"),
    "fresh": Word(N_("Up to date"), "good"),
    "stale": Word(N_("Silent for too long"), "wait"),
    "held": Word(N_("Held"), "wait"),
    "off": Word(N_("Switched off")),
}
NOTICES = {
    "blocked": Word(N_("A phone lost mail")),
    "quarantined": Word(N_("A phone is in quarantine")),
    "allowed": Word(N_("A phone has mail again")),
    "warning": Word(N_("A phone is about to lose mail")),
    "digest": Word(N_("Several things at once")),
}
NOTICE_STATES = {
    "waiting": Word(N_("Waiting"), "wait"),
    "claimed": Word(N_("Being sent"), "info"),
    "uncertain": Word(N_("Looked for in Sent Items"), "wait"),
    "sent": Word(N_("Sent"), "good"),
    "failed": Word(N_("Not sent"), "bad"),
}
SPEAKS = {
    "gatepost": Word(N_("Gatepost")),
    "exchange": Word(N_("Exchange")),
    "both": Word(N_("Both")),
}
INSERTS = {
    "user-mail-insert": Word(N_("Text in mails to people")),
    "ota-notification-insert": Word(N_("Text in mails about updates of a phone's system")),
}
VOCABULARIES = {
    "notice": NOTICES,
    "notice_state": NOTICE_STATES,
    "speaks": SPEAKS,
    "insert": INSERTS,
    "source": SOURCE_STATES,
    "hold": HOLDS,
    "held": HELD,
    "verb": VERBS,
    "cause": CAUSES,
    "list": LISTS,
    "owner": OWNERS,
    "effect": EFFECTS,
    "obstacle": OBSTACLES,
    "adoption": ADOPTIONS,
    "line_fault": LINE_FAULTS,
    "file_mistake": FILE_MISTAKES,
    "difference": DIFFERENCES,
    "prospect": PROSPECTS,
    "beyond": BEYOND,
    "check": CHECKS,
    "check_name": {name: Word(text) for name, text in CHECK_NAMES.items()},
    "step": STEPS,
    "access_state": ACCESS_STATES,
    "access_state_reason": REASONS,
    "family": FAMILIES,
    "connection": CONNECTION_STATES,
    "prerequisite": PREREQUISITES,
    "standing": STANDINGS,
    "platform": PLATFORMS,
    "sync_kind": SYNC_KINDS,
    "sync_state": SYNC_STATES,
    "mailbox_kind": MAILBOX_KINDS,
    "level": LEVELS,
    "level_means": LEVELS_MEAN,
    "unit": UNITS,
    "operator": OPERATORS,
    "reason": {name: Word(text) for name, text in REASON_NAMES.items()},
    "because": {name: Word(text) for name, text in REASON_SENTENCES.items()},
    "client": CLIENTS,
    "managed": MANAGED,
    "ring": RINGS,
    "rollout": ROLLOUTS,
    "halt": HALTS,
    "applied": APPLIED,
    "result": RESULTS,
    "ownership": OWNERSHIPS,
    "mode": MODES,
    "role": ROLES,
    "factors": FACTORS,
    "account": ACCOUNTS,
}
HAPPENINGS = {
    "changed": N_("Changed"),
    "gone": N_("No longer seen in Exchange"),
    "returned": N_("Seen in Exchange again"),
}
_PICTURES = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
_PICTURES |= dict.fromkeys(range(0x80, 0xA0), 0xFFFD) | dict.fromkeys((0x2028, 0x2029), 0x2424)


def word(language: Language, vocabulary: str, name: object) -> Word:
    """The word for a name, in a language."""
    known = VOCABULARIES[vocabulary].get(str(name).lower())
    return Word(language.text(known.text), known.tone) if known else Word(visible(str(name)))


def ordered(rows: Sequence[tuple[str, int]], vocabulary: str) -> list[tuple[str, int]]:
    """Counted names in the order of their vocabulary, which does not move as the counts do; unknown ones last."""
    places = {name: place for place, name in enumerate(VOCABULARIES[vocabulary])}
    return sorted(rows, key=lambda row: (places.get(row[0].lower(), len(places)), row[0]))


def has_statistics(device: Mapping[str, object]) -> bool:
    """Whether any of a device's synchronisation statistics was ever read; where none was, none is known to be empty."""
    return any(device[name] is not None for name in STATISTICS)


def device_groups(device: Mapping[str, object]) -> list[tuple[str, Sequence[str]]]:
    """The groups that say something of a device, each with its fields; without statistics where none were read."""
    left_out = () if has_statistics(device) else STATISTICS
    groups = [(heading, [name for name in names if name not in left_out]) for heading, names in DEVICE_GROUPS]
    return [(heading, names) for heading, names in groups if any(device[name] not in {None, ""} for name in names)]


def visible(text: str) -> str:
    """A foreign text with its control characters made visible: a bell becomes ␇ and rings nothing."""
    return text.translate(_PICTURES)

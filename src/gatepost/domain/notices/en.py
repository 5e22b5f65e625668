"""Notices in English."""

from gatepost.domain.access import Reason
from gatepost.domain.notices.templates import Kind, Template
from gatepost.domain.notices.texts import Catalogue, Help

_GREETING = "Hello {{user.name}},"
_END = """What you can do is on this page:
{{link}}

Questions? {{contact}}

This message was sent automatically; nobody reads an answer to it."""


def _body(*paragraphs: str) -> str:
    return "\n\n".join((_GREETING, *paragraphs, _END))


TEXTS = Catalogue(
    code="en",
    name="English",
    templates={
        Kind.BLOCKED: Template(
            "{{device.name}} can no longer read your work mail",
            _body("{{device.name}} can no longer read your work mail.", "{{reason}}"),
        ),
        Kind.QUARANTINED: Template(
            "{{device.name}} cannot read your work mail yet",
            _body("{{device.name}} is held in quarantine and cannot read your work mail yet.", "{{reason}}"),
        ),
        Kind.ALLOWED: Template(
            "{{device.name}} can read your work mail",
            _body(
                "{{device.name}} can read your work mail again. Mail comes by itself within a few minutes; "
                "opening the mail app helps.",
                "{{reason}}",
            ),
        ),
        Kind.WARNING: Template(
            "{{device.name}} is about to lose your work mail",
            _body("{{device.name}} can read your work mail only until {{until}}.", "{{reason}}"),
        ),
        Kind.DIGEST: Template(
            "What has changed for your phones",
            _body("Something has changed for the phones with which you read your work mail:", "{{devices}}"),
        ),
    },
    reasons={
        Reason.RULE: "A rule of your organization decides about phones of this kind.",
        Reason.PINNED: "An administrator of your organization decided this for your phone.",
        Reason.CLOUD_CACHE: "Your organization decided this for Outlook on phones.",
        Reason.UNMANAGED: "The phone is not enrolled in your organization's device management.",
        Reason.NONCOMPLIANT: "The phone does not meet the rules of your organization's device management.",
        Reason.UNMANAGED_GRACE: "The phone still has to be enrolled in your organization's device management.",
        Reason.NONCOMPLIANT_GRACE: "The phone does not meet the rules of your organization's device management now.",
        Reason.KNOWN: "Phones that were in use before may read mail for some time, until they are enrolled.",
        Reason.COMPLIANT: "The phone is enrolled and meets the rules of your organization.",
        Reason.PRE_APPROVED: "The phone is enrolled and meets the rules of your organization.",
    },
    happened={
        Kind.BLOCKED: "{device} can no longer read your work mail.",
        Kind.QUARANTINED: "{device} is held in quarantine and cannot read your work mail yet.",
        Kind.ALLOWED: "{device} can read your work mail again.",
        Kind.WARNING: "{device} can read your work mail only until {until}.",
    },
    phone="Your phone",
    person="colleague",
    insert="What you can do about it: {link}",
    test="This is a test that an administrator asked for. The phone in it is made up; nothing needs to be done.",
    help=Help(
        title="Your phone and your work mail",
        lead="Your organization lets a phone read work mail when it is enrolled and meets the organization's rules.",
        sections=(
            (
                "Your phone is blocked or held in quarantine",
                (
                    "Enrol the phone in your organization's device management, as its guide says.",
                    "Open the device management app and do what it says is missing: often a screen lock or an update.",
                    "Wait a few minutes, then open the mail app. Mail comes back by itself.",
                ),
            ),
            (
                "Your phone is about to lose mail",
                ("Do the same before the date in the message. Nothing is lost until then.",),
            ),
            (
                "You have a new phone, or reset the old one",
                (
                    "It counts as another phone. Enrol it first, then add your mail account.",
                    "Remove the mail account from phones that you no longer use.",
                ),
            ),
        ),
        portal="Go to your organization's page",
        contact="Who can help you",
        promise="This page shows nothing about you or your phone. Nobody who writes to you asks for your password.",
    ),
)

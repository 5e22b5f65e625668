"""Notices in German."""

from gatepost.domain.access import Reason
from gatepost.domain.notices.templates import Kind, Template
from gatepost.domain.notices.texts import Catalogue, Help

_GREETING = "Guten Tag {{user.name}},"
_END = """Was Sie tun können, steht auf dieser Seite:
{{link}}

Fragen? {{contact}}

Diese Nachricht wurde automatisch verschickt; eine Antwort darauf liest niemand."""


def _body(*paragraphs: str) -> str:
    return "\n\n".join((_GREETING, *paragraphs, _END))


TEXTS = Catalogue(
    code="de",
    name="Deutsch",
    templates={
        Kind.BLOCKED: Template(
            "{{device.name}} kann Ihre dienstliche Mail nicht mehr lesen",
            _body("{{device.name}} kann Ihre dienstliche Mail nicht mehr lesen.", "{{reason}}"),
        ),
        Kind.QUARANTINED: Template(
            "{{device.name}} kann Ihre dienstliche Mail noch nicht lesen",
            _body("{{device.name}} ist in Quarantäne und kann Ihre dienstliche Mail noch nicht lesen.", "{{reason}}"),
        ),
        Kind.ALLOWED: Template(
            "{{device.name}} kann Ihre dienstliche Mail lesen",
            _body(
                "{{device.name}} kann Ihre dienstliche Mail wieder lesen. Die Mail kommt in wenigen Minuten von "
                "selbst; es hilft, die Mail-App zu öffnen.",
                "{{reason}}",
            ),
        ),
        Kind.WARNING: Template(
            "{{device.name}} kann Ihre dienstliche Mail bald nicht mehr lesen",
            _body("{{device.name}} kann Ihre dienstliche Mail nur noch bis {{until}} lesen.", "{{reason}}"),
        ),
        Kind.DIGEST: Template(
            "Was sich bei Ihren Telefonen geändert hat",
            _body(
                "Bei den Telefonen, mit denen Sie Ihre dienstliche Mail lesen, hat sich etwas geändert:", "{{devices}}"
            ),
        ),
    },
    reasons={
        Reason.RULE: "Eine Regel Ihrer Organisation entscheidet über Telefone dieser Art.",
        Reason.PINNED: "Das hat die Administration Ihrer Organisation für Ihr Telefon entschieden.",
        Reason.CLOUD_CACHE: "Das hat Ihre Organisation für Outlook auf Telefonen entschieden.",
        Reason.UNMANAGED: "Das Telefon ist nicht in der Geräteverwaltung Ihrer Organisation angemeldet.",
        Reason.NONCOMPLIANT: "Das Telefon erfüllt die Regeln der Geräteverwaltung Ihrer Organisation nicht.",
        Reason.UNMANAGED_GRACE: "Das Telefon muss noch in der Geräteverwaltung Ihrer Organisation angemeldet werden.",
        Reason.NONCOMPLIANT_GRACE: "Das Telefon erfüllt zurzeit die Regeln der Geräteverwaltung Ihrer Organisation "
        "nicht.",
        Reason.KNOWN: "Telefone, die schon in Gebrauch waren, dürfen noch eine Zeit lang Mail lesen, bis sie "
        "angemeldet sind.",
        Reason.COMPLIANT: "Das Telefon ist angemeldet und erfüllt die Regeln Ihrer Organisation.",
        Reason.PRE_APPROVED: "Das Telefon ist angemeldet und erfüllt die Regeln Ihrer Organisation.",
    },
    happened={
        Kind.BLOCKED: "{device} kann Ihre dienstliche Mail nicht mehr lesen.",
        Kind.QUARANTINED: "{device} ist in Quarantäne und kann Ihre dienstliche Mail noch nicht lesen.",
        Kind.ALLOWED: "{device} kann Ihre dienstliche Mail wieder lesen.",
        Kind.WARNING: "{device} kann Ihre dienstliche Mail nur noch bis {until} lesen.",
    },
    phone="Ihr Telefon",
    person="Kollegin oder Kollege",
    insert="Was Sie tun können: {link}",
    test="Das ist ein Test der Administration. Das Telefon darin ist erfunden; es ist nichts zu tun.",
    help=Help(
        title="Ihr Telefon und Ihre dienstliche Mail",
        lead="Ihre Organisation lässt ein Telefon dienstliche Mail lesen, wenn es angemeldet ist und Regeln einhält.",
        sections=(
            (
                "Ihr Telefon ist gesperrt oder in Quarantäne",
                (
                    "Melden Sie das Telefon in der Geräteverwaltung Ihrer Organisation an, nach deren Anleitung.",
                    "Öffnen Sie die App der Geräteverwaltung und tun Sie, was nach ihr noch fehlt: oft eine "
                    "Bildschirmsperre oder ein Update.",
                    "Warten Sie einige Minuten und öffnen Sie dann die Mail-App. Die Mail kommt von selbst zurück.",
                ),
            ),
            (
                "Ihr Telefon verliert bald den Zugang",
                ("Tun Sie dasselbe vor dem Datum in der Nachricht. Bis dahin geht nichts verloren.",),
            ),
            (
                "Sie haben ein neues Telefon oder das alte zurückgesetzt",
                (
                    "Es zählt als ein anderes Telefon. Melden Sie es zuerst an und fügen Sie dann Ihr Mailkonto hinzu.",
                    "Entfernen Sie das Mailkonto von Telefonen, die Sie nicht mehr benutzen.",
                ),
            ),
        ),
        portal="Zur Seite Ihrer Organisation",
        contact="Wer Ihnen helfen kann",
        promise="Diese Seite zeigt nichts über Sie oder Ihr Telefon. Niemand, der Ihnen schreibt, fragt nach Ihrem "
        "Passwort.",
    ),
)

"""Notices in Dutch."""

from gatepost.domain.access import Reason
from gatepost.domain.notices.templates import Kind, Template
from gatepost.domain.notices.texts import Catalogue, Help

_GREETING = "Hallo {{user.name}},"
_END = """Wat u kunt doen, staat op deze pagina:
{{link}}

Vragen? {{contact}}

Dit bericht is automatisch verstuurd; een antwoord erop wordt door niemand gelezen."""


def _body(*paragraphs: str) -> str:
    return "\n\n".join((_GREETING, *paragraphs, _END))


TEXTS = Catalogue(
    code="nl",
    name="Nederlands",
    templates={
        Kind.BLOCKED: Template(
            "{{device.name}} kan uw zakelijke mail niet meer lezen",
            _body("{{device.name}} kan uw zakelijke mail niet meer lezen.", "{{reason}}"),
        ),
        Kind.QUARANTINED: Template(
            "{{device.name}} kan uw zakelijke mail nog niet lezen",
            _body("{{device.name}} staat in quarantaine en kan uw zakelijke mail nog niet lezen.", "{{reason}}"),
        ),
        Kind.ALLOWED: Template(
            "{{device.name}} kan uw zakelijke mail lezen",
            _body(
                "{{device.name}} kan uw zakelijke mail weer lezen. De mail komt binnen enkele minuten vanzelf; "
                "het helpt om de mail-app te openen.",
                "{{reason}}",
            ),
        ),
        Kind.WARNING: Template(
            "{{device.name}} kan uw zakelijke mail binnenkort niet meer lezen",
            _body("{{device.name}} kan uw zakelijke mail nog maar lezen tot {{until}}.", "{{reason}}"),
        ),
        Kind.DIGEST: Template(
            "Wat er voor uw telefoons is veranderd",
            _body("Er is iets veranderd voor de telefoons waarmee u uw zakelijke mail leest:", "{{devices}}"),
        ),
    },
    reasons={
        Reason.RULE: "Een regel van uw organisatie beslist over dit soort telefoons.",
        Reason.PINNED: "Een beheerder van uw organisatie heeft dit voor uw telefoon beslist.",
        Reason.CLOUD_CACHE: "Uw organisatie heeft dit voor Outlook op telefoons beslist.",
        Reason.UNMANAGED: "De telefoon is niet aangemeld bij het apparaatbeheer van uw organisatie.",
        Reason.NONCOMPLIANT: "De telefoon voldoet niet aan de regels van het apparaatbeheer van uw organisatie.",
        Reason.UNMANAGED_GRACE: "De telefoon moet nog worden aangemeld bij het apparaatbeheer van uw organisatie.",
        Reason.NONCOMPLIANT_GRACE: "De telefoon voldoet nu niet aan de regels van het apparaatbeheer van uw "
        "organisatie.",
        Reason.KNOWN: "Telefoons die al in gebruik waren, mogen nog enige tijd mail lezen, tot ze zijn aangemeld.",
        Reason.COMPLIANT: "De telefoon is aangemeld en voldoet aan de regels van uw organisatie.",
        Reason.PRE_APPROVED: "De telefoon is aangemeld en voldoet aan de regels van uw organisatie.",
    },
    happened={
        Kind.BLOCKED: "{device} kan uw zakelijke mail niet meer lezen.",
        Kind.QUARANTINED: "{device} staat in quarantaine en kan uw zakelijke mail nog niet lezen.",
        Kind.ALLOWED: "{device} kan uw zakelijke mail weer lezen.",
        Kind.WARNING: "{device} kan uw zakelijke mail nog maar lezen tot {until}.",
    },
    phone="Uw telefoon",
    person="collega",
    insert="Wat u eraan kunt doen: {link}",
    test="Dit is een test waar een beheerder om heeft gevraagd. De telefoon erin is verzonnen; u hoeft niets te doen.",
    help=Help(
        title="Uw telefoon en uw zakelijke mail",
        lead="Uw organisatie laat een telefoon zakelijke mail lezen als hij is aangemeld en aan de regels voldoet.",
        sections=(
            (
                "Uw telefoon is geblokkeerd of staat in quarantaine",
                (
                    "Meld de telefoon aan bij het apparaatbeheer van uw organisatie, zoals in de handleiding staat.",
                    "Open de app van het apparaatbeheer en doe wat er volgens die app ontbreekt: vaak een "
                    "schermvergrendeling of een update.",
                    "Wacht enkele minuten en open dan de mail-app. De mail komt vanzelf terug.",
                ),
            ),
            (
                "Uw telefoon verliest binnenkort de toegang",
                ("Doe hetzelfde vóór de datum in het bericht. Tot dan gaat er niets verloren.",),
            ),
            (
                "U hebt een nieuwe telefoon, of hebt de oude teruggezet",
                (
                    "Die telt als een andere telefoon. Meld hem eerst aan en voeg dan uw mailaccount toe.",
                    "Verwijder het mailaccount van telefoons die u niet meer gebruikt.",
                ),
            ),
        ),
        portal="Naar de pagina van uw organisatie",
        contact="Wie u kan helpen",
        promise="Deze pagina toont niets over u of uw telefoon. Niemand die u schrijft, vraagt om uw wachtwoord.",
    ),
)

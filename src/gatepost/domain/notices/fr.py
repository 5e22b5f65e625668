"""Notices in French."""

from gatepost.domain.access import Reason
from gatepost.domain.notices.templates import Kind, Template
from gatepost.domain.notices.texts import Catalogue, Help

_GREETING = "Bonjour {{user.name}},"
_END = """Ce que vous pouvez faire se trouve sur cette page :
{{link}}

Des questions ? {{contact}}

Ce message a été envoyé automatiquement ; personne ne lira votre réponse."""


def _body(*paragraphs: str) -> str:
    return "\n\n".join((_GREETING, *paragraphs, _END))


TEXTS = Catalogue(
    code="fr",
    name="français",
    templates={
        Kind.BLOCKED: Template(
            "{{device.name}} ne peut plus lire votre messagerie professionnelle",
            _body("{{device.name}} ne peut plus lire votre messagerie professionnelle.", "{{reason}}"),
        ),
        Kind.QUARANTINED: Template(
            "{{device.name}} ne peut pas encore lire votre messagerie professionnelle",
            _body(
                "{{device.name}} est en quarantaine et ne peut pas encore lire votre messagerie professionnelle.",
                "{{reason}}",
            ),
        ),
        Kind.ALLOWED: Template(
            "{{device.name}} peut lire votre messagerie professionnelle",
            _body(
                "{{device.name}} peut de nouveau lire votre messagerie professionnelle. Le courrier arrive de lui-même "
                "en quelques minutes ; ouvrir l'application de messagerie peut aider.",
                "{{reason}}",
            ),
        ),
        Kind.WARNING: Template(
            "{{device.name}} ne pourra bientôt plus lire votre messagerie professionnelle",
            _body(
                "{{device.name}} peut lire votre messagerie professionnelle jusqu'au {{until}} seulement.", "{{reason}}"
            ),
        ),
        Kind.DIGEST: Template(
            "Ce qui a changé pour vos téléphones",
            _body(
                "Quelque chose a changé pour les téléphones avec lesquels vous lisez votre messagerie "
                "professionnelle :",
                "{{devices}}",
            ),
        ),
    },
    reasons={
        Reason.RULE: "Une règle de votre organisation s'applique aux téléphones de ce type.",
        Reason.PINNED: "L'administration de votre organisation en a décidé ainsi pour votre téléphone.",
        Reason.CLOUD_CACHE: "Votre organisation en a décidé ainsi pour Outlook sur les téléphones.",
        Reason.UNMANAGED: "Le téléphone n'est pas inscrit dans la gestion des appareils de votre organisation.",
        Reason.NONCOMPLIANT: "Le téléphone ne respecte pas les règles de la gestion des appareils de votre "
        "organisation.",
        Reason.UNMANAGED_GRACE: "Le téléphone doit encore être inscrit dans la gestion des appareils de votre "
        "organisation.",
        Reason.NONCOMPLIANT_GRACE: "Le téléphone ne respecte pas en ce moment les règles de la gestion des appareils "
        "de votre organisation.",
        Reason.KNOWN: "Les téléphones déjà utilisés peuvent lire la messagerie encore quelque temps, jusqu'à leur "
        "inscription.",
        Reason.COMPLIANT: "Le téléphone est inscrit et respecte les règles de votre organisation.",
        Reason.PRE_APPROVED: "Le téléphone est inscrit et respecte les règles de votre organisation.",
    },
    happened={
        Kind.BLOCKED: "{device} ne peut plus lire votre messagerie professionnelle.",
        Kind.QUARANTINED: "{device} est en quarantaine et ne peut pas encore lire votre messagerie professionnelle.",
        Kind.ALLOWED: "{device} peut de nouveau lire votre messagerie professionnelle.",
        Kind.WARNING: "{device} peut lire votre messagerie professionnelle jusqu'au {until} seulement.",
    },
    phone="Votre téléphone",
    person="collègue",
    insert="Ce que vous pouvez faire : {link}",
    test="Ceci est un essai demandé par l'administration. Le téléphone est inventé ; il n'y a rien à faire.",
    help=Help(
        title="Votre téléphone et votre messagerie professionnelle",
        lead="Votre organisation laisse un téléphone lire la messagerie professionnelle s'il est inscrit et respecte "
        "ses règles.",
        sections=(
            (
                "Votre téléphone est bloqué ou en quarantaine",
                (
                    "Inscrivez le téléphone dans la gestion des appareils de votre organisation, en suivant son guide.",
                    "Ouvrez l'application de gestion des appareils et faites ce qui manque selon elle : souvent un "
                    "verrouillage de l'écran ou une mise à jour.",
                    "Attendez quelques minutes, puis ouvrez l'application de messagerie. Le courrier revient de "
                    "lui-même.",
                ),
            ),
            (
                "Votre téléphone va bientôt perdre l'accès",
                ("Faites de même avant la date indiquée dans le message. Rien n'est perdu jusque-là.",),
            ),
            (
                "Vous avez un nouveau téléphone, ou avez réinitialisé l'ancien",
                (
                    "Il compte comme un autre téléphone. Inscrivez-le, puis ajoutez votre compte de messagerie.",
                    "Supprimez le compte de messagerie des téléphones que vous n'utilisez plus.",
                ),
            ),
        ),
        portal="Aller à la page de votre organisation",
        contact="Qui peut vous aider",
        promise="Cette page ne montre rien sur vous ni sur votre téléphone. Personne ne vous demandera votre mot de "
        "passe par courrier.",
    ),
)

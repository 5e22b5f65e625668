"""Words of notices: complete in every language, and never more than words whatever a phone or a directory is called."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.domain.access import Reason
from gatepost.domain.notices import (
    CATALOGUES,
    PLACEHOLDERS,
    Catalogue,
    Fault,
    Kind,
    Template,
    allowed_link,
    check,
    clean,
    faults_of_words,
    language_of,
    render,
)
from gatepost.domain.notices.texts import TOLD
from gatepost.domain.wishes import LONGEST_INSERT

HOSTS = ("help.example.com",)
LINK = "https://help.example.com/help/t/acme"
VALUES = {"user.name": "Ann", "device.name": "Phone", "reason": "Because.", "link": LINK, "contact": "Desk 1234"}


class Tags(HTMLParser):
    """The tags of a document, and where its links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str | None] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note it."""
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]


@pytest.mark.parametrize("catalogue", CATALOGUES.values(), ids=list(CATALOGUES))
def test_every_language_is_complete(catalogue: Catalogue) -> None:
    """Each has every kind, reason and sentence, with the same placeholders as English, and fits where it goes."""
    english = CATALOGUES["en"]
    assert set(catalogue.templates) == set(catalogue.happened) | {Kind.DIGEST} == set(Kind)
    assert set(catalogue.reasons) == set(TOLD) < set(Reason)
    for kind, template in catalogue.templates.items():
        assert check(template, kind, ()) == []
        named = [
            set(re.findall(r"{{([a-z.]+)}}", each.subject + each.body)) for each in (template, english.templates[kind])
        ]
        assert named[0] == named[1] <= PLACEHOLDERS[kind]
    for kind, sentence in catalogue.happened.items():
        assert ("{until}" in sentence) == (kind is Kind.WARNING)
        assert sentence.format(device="X", until="Y").startswith("X")
    assert len(catalogue.insert.format(link="x" * 200)) <= LONGEST_INSERT
    assert [len(steps) for _, steps in catalogue.help.sections] == [len(steps) for _, steps in english.help.sections]
    if catalogue is not english:
        theirs = {template.body for template in english.templates.values()} | set(english.reasons.values())
        assert theirs.isdisjoint({template.body for template in catalogue.templates.values()})
        assert theirs.isdisjoint(catalogue.reasons.values())


def test_a_language_is_found_by_what_a_directory_calls_it() -> None:
    """By its first part, in any case; what is unknown falls back to what was chosen, and that to English."""
    named = {"nl": "nl", "nl-BE": "nl", "NL_nl": "nl", "de-AT": "de", "fr": "fr", "en-US": "en", "xx": "de", None: "de"}
    assert {told: language_of(told, "de").code for told in named} == named
    assert language_of(None, "xx").code == "en"


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        (Template(" ", "x"), Fault("subject", "empty")),
        (Template("x", "\n"), Fault("body", "empty")),
        (Template("x" * 151, "x"), Fault("subject", "long", "150")),
        (Template("x", "x" * 4_001), Fault("body", "long", "4000")),
        (Template("x", "{{password}}"), Fault("body", "placeholder", "{{password}}")),
        (Template("x", "{{until}}"), Fault("body", "placeholder", "{{until}}")),
        (Template("{{link}}", "x"), Fault("subject", "placeholder", "{{link}}")),
        (Template("x", "{{ 7*7 }}"), Fault("body", "braces")),
        (Template("x", "{{device.name"), Fault("body", "braces")),
        (Template("x\r\nBcc: a@b.example", "x"), Fault("subject", "control")),
        (Template("x", "a\u202eb"), Fault("body", "control")),
        (Template("https://help.example.com", "x"), Fault("subject", "link-in-subject", "https://help.example.com")),
        (Template("x", "http://help.example.com/"), Fault("body", "link", "http://help.example.com/")),
        (Template("x", "https://evil.example/."), Fault("body", "link", "https://evil.example/")),
        (Template("x", "www.evil.example"), Fault("body", "link", "www.evil.example")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_template_is_named(template: Template, fault: Fault) -> None:
    """Where, what, and the piece of it."""
    assert fault in check(template, Kind.BLOCKED, HOSTS)


@pytest.mark.parametrize(
    "address",
    [
        "https://help.example.com.evil.example/",
        "https://help.example.com@evil.example/",
        "https://evil.example/https://help.example.com",
        "https://sub.help.example.com/",
        "https://help.example.com:8443/",
        "https://help.example.com\\@evil.example/",
        "//help.example.com/",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://hélp.example.com/",
        "https://[::1]/",
        "https://help.example.com:x/",
    ],
)
def test_a_link_leads_only_to_a_host_that_is_allowed(address: str) -> None:
    """Exactly that host, by https, without a user."""
    assert not allowed_link(address, HOSTS)
    assert allowed_link("https://HELP.example.com/a?b=c#d", HOSTS)
    assert allowed_link("https://help.example.com:8443/", ["help.example.com:8443"])


def test_a_line_that_stands_in_every_mail_holds_no_placeholder_and_no_strange_link() -> None:
    """The contact that a tenant gives."""
    assert faults_of_words("Desk 1234, desk@example.com, https://help.example.com/desk", HOSTS) == []
    assert faults_of_words("{{link}}", HOSTS) == [Fault("words", "placeholder", "{{link}}")]
    assert faults_of_words("see https://evil.example", HOSTS) == [Fault("words", "link", "https://evil.example")]


def test_a_mail_says_the_same_as_html_and_as_text() -> None:
    """Links of the template and ours are links, what has nothing to say is left out, an old host's link is words."""
    template = Template("{{device.name}}", "A & B,\nline\n\nSee https://help.example.com/x, or https://old.example/y\n\n"
                        "Until {{until}}\n\n{{reason}}\n\n{{link}}")  # fmt: skip
    mail = render(template, VALUES, HOSTS, language="nl")
    assert mail.text == (
        "A & B,\nline\n\nSee https://help.example.com/x, or https:// old. example/ y\n\nBecause.\n\n" + LINK + "\n"
    )
    assert '<html lang="nl">' in mail.html
    assert "<p>A &amp; B,<br>\nline</p>" in mail.html
    assert Tags(mail.html).links == ["https://help.example.com/x", LINK]
    assert render(template, {}, HOSTS, language="nl").text.startswith("A & B,")


EVIL = st.one_of(
    st.text(),
    st.sampled_from(
        ["<script>alert(1)</script>", "a\r\nBcc: x@evil.example", "{{link}}", "http://evil.example", "www.evil.example",
         "\u202eevil", '" onclick="x', "&lt;b&gt;", "javascript:alert(1)", "a@evil.example", "x" * 500, "\ud800"]
    ),
)  # fmt: skip


@given(name=EVIL, device=EVIL, model=EVIL, kind=st.sampled_from(Kind), code=st.sampled_from(sorted(CATALOGUES)))
def test_names_are_only_words_whatever_they_are(name: str, device: str, model: str, kind: Kind, code: str) -> None:
    """One line of subject without anything that steers; the tags and links of the template and no others."""
    values = {**VALUES, "user.name": name, "device.name": device, "device.model": model, "until": "1 May"}
    mail = render(CATALOGUES[code].templates[kind], values, HOSTS, language=code, listed=[clean(device)])
    assert mail.subject.isprintable()
    assert len(mail.subject) <= 150
    seen = Tags(mail.html)
    assert seen.tags <= {"html", "head", "meta", "title", "body", "p", "br", "a", "ul", "li"}
    assert set(seen.links) == {LINK}
    assert "evil.example" not in mail.text + mail.html
    mail.html.encode()

"""People are told of their phones: policy, Exchange, service and mail as they are, the mailbox read by exchangelib."""

from tests.connector.notices import told_site
from tests.fixtures.site import MakeSite


def test_a_quarantined_phones_person_is_told_in_dutch_once(make_site: MakeSite) -> None:
    """One mail, in the person's language, marked as a machine's; nothing more however often the connector works."""
    told = told_site(make_site)
    told.speak("nl-NL")
    told.decide("quarantine")
    told.work(4)
    assert [row["state"] for row in told.notices()] == ["sent"]
    [mail] = told.inbox()
    assert mail.subject.endswith("kan uw zakelijke mail nog niet lezen")
    assert "Hallo Jan de Vries," in mail.body
    assert "staat in quarantaine" in mail.body
    assert "Een regel van uw organisatie beslist over dit soort telefoons." in mail.body
    headers = {header.name: header.value for header in mail.headers}
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["X-Auto-Response-Suppress"] == "All"
    others = [box.smtp or "" for box in told.site.lab.organization.mailboxes if box.smtp and box.smtp != told.address]
    assert [address for address in others if told.site.lab.mail.folder(address, "inbox")] == []

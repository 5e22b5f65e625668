"""The first write, whole: a pin on the real service, the real connector, Exchange's own lists and audit log."""



from gatepost.lab.rows import Device, Mailbox
from tests.fixtures.site import MakeSite, Site


def pinnable(site: Site) -> tuple[Mailbox, Device]:
    """A plain user's mailbox without list entries, and a phone of it."""
    for mailbox in site.lab.organization.mailboxes:
        phones = [each for each in mailbox.devices if each.device_id and each.handset.client_type == "EAS"]
        if phones and mailbox.kind == "UserMailbox" and not mailbox.allowed + mailbox.blocked and not mailbox.protected:
            return mailbox, phones[0]
    raise AssertionError("the lab has no such mailbox")


def lists(site: Site, mailbox: Mailbox) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What Exchange has."""
    found = site.lab.organization.find_mailbox(mailbox.guid)
    assert found is not None
    return found.allowed, found.blocked


def test_a_pin_becomes_an_entry_and_its_end_takes_it_away(make_site: MakeSite) -> None:
    """Blocked, allowed, let go: each one write, read back, and the ledger knows whose the entries are."""
    site = make_site(devices=40).enrol().limited(mode="enforce")
    site.synchronise()
    mailbox, phone = pinnable(site)
    site.pin(phone.guid, "block")
    assert site.work() == {"written": 1}
    assert lists(site, mailbox) == ((), (phone.device_id,))
    site.pin(phone.guid, "allow")
    assert site.work() == {"written": 1}
    assert lists(site, mailbox) == ((phone.device_id,), ())
    site.pin(phone.guid, None)
    assert site.work() == {"written": 1}
    assert lists(site, mailbox) == ((), ())
    assert site.work() == {}
    assert site.writes() == ["Set-CASMailbox"] * 3
    results = site.query("SELECT result FROM outcomes WHERE tenant_id = %s ORDER BY at")
    assert [row["result"] for row in results] == ["applied"] * 3

"""Sessions with pypsrp's own classes: signing in, listing, errors, time-outs, and what is left when they close."""

import threading
from collections.abc import Callable

import pytest
from pypsrp.complex_objects import CommandType, GenericComplexObject
from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError
from pypsrp.messages import GetCommandMetadata
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.shell import SignalCode
from requests.exceptions import SSLError

from gatepost.lab.rows import ON_PREMISES
from gatepost.lab.server import Lab
from gatepost.lab.texts import say
from tests.fixtures.lab import MakeLab
from tests.lab.peer import COMPLETED, FAILED, connection, finish, run, session

DEVICE_FIELDS = {
    "FriendlyName": "friendly_name",
    "DeviceId": "device_id",
    "DeviceImei": "imei",
    "DeviceMobileOperator": "operator",
    "DeviceTelephoneNumber": "phone",
    "DeviceAccessState": "state",
    "DeviceAccessStateReason": "reason",
    "DeviceAccessControlRule": "rule",
    "Name": "name",
    "DistinguishedName": "dn",
    "Identity": "identity",
}
HANDSET_FIELDS = {
    "DeviceOS": "os",
    "DeviceOSLanguage": "language",
    "DeviceType": "device_type",
    "DeviceUserAgent": "user_agent",
    "DeviceModel": "model",
    "ClientType": "client_type",
    "ClientVersion": "client_version",
}


@pytest.mark.parametrize(
    ("auth", "url"),
    [("basic", "https"), ("ntlm", "http"), ("negotiate", "http"), ("ntlm", "https"), ("negotiate", "https")],
)
def test_every_way_of_signing_in_leads_to_a_session(lab: Lab, auth: str, url: str) -> None:
    """Basic over TLS, and NTLM and Negotiate with sealed messages over HTTP and plain ones over TLS."""
    with session(lab, auth=auth, url=lab.https_url if url == "https" else lab.http_url) as pool:
        assert len(run(pool, "Get-MobileDevice").rows) == 300


@pytest.mark.parametrize("auth", ["basic", "ntlm", "negotiate"])
def test_a_wrong_password_is_refused(lab: Lab, auth: str) -> None:
    """No way of signing in takes a wrong password."""
    with pytest.raises((AuthenticationError, WinRMTransportError)), session(lab, auth=auth, password="wrong"):
        pass


def test_basic_is_not_offered_without_tls(lab: Lab) -> None:
    """Over plain HTTP a password is not even looked at."""
    with pytest.raises(AuthenticationError), session(lab, auth="basic", url=lab.http_url, encryption="never"):
        pass


def test_a_body_that_is_not_sealed_is_refused_over_http(lab: Lab) -> None:
    """Who has signed in over plain HTTP must still encrypt what he says."""
    with pytest.raises(WinRMTransportError) as refused, session(lab, auth="ntlm", encryption="never"):
        pass
    assert refused.value.code == 415


def test_the_certificate_is_signed_by_the_published_authority(make_lab: MakeLab, lab: Lab) -> None:
    """A client that trusts another lab's authority does not get through."""
    other = make_lab()
    lines = lab.ca_file.read_text(encoding="ascii")
    other.ca_file.write_text(lines, encoding="ascii")
    with pytest.raises(SSLError), session(other):
        pass


@pytest.mark.parametrize("path", ["PowerShell", "powershell/", "POWERSHELL", "PowerShell/?serializationLevel=Full"])
def test_the_path_may_be_written_in_any_case(lab: Lab, path: str) -> None:
    """Case, a slash at the end and a query make no difference to where the endpoint is."""
    with session(lab, path=path) as pool:
        assert len(run(pool, "Get-MobileDevice", ResultSize=5).rows) == 5


def test_every_field_of_every_device_arrives(lab: Lab) -> None:
    """An independent client reads each device as the organization holds it, odd ones included."""
    with session(lab) as pool:
        rows = run(pool, "Get-MobileDevice", ResultSize="Unlimited").rows
    devices = lab.organization.devices
    assert [str(row["Guid"]) for row in rows] == [device.guid for device in devices]
    for row, device in zip(rows, devices, strict=True):
        assert {name: row[name] for name in DEVICE_FIELDS} == {
            name: getattr(device, attribute) for name, attribute in DEVICE_FIELDS.items()
        }
        assert {name: row[name] for name in HANDSET_FIELDS} == {
            name: getattr(device.handset, attribute) for name, attribute in HANDSET_FIELDS.items()
        }


def test_every_field_of_every_mailbox_arrives(lab: Lab) -> None:
    """Mailboxes come with their lists, in order; those elsewhere or gone are not among them."""
    with session(lab) as pool:
        rows = run(pool, "Get-CASMailbox", ResultSize="Unlimited").rows
    boxes = [box for box in lab.organization.mailboxes if box.kind in ON_PREMISES]
    assert [str(row["Guid"]) for row in rows] == [box.guid for box in boxes]
    for row, box in zip(rows, boxes, strict=True):
        assert row["DistinguishedName"] == box.dn
        assert row["PrimarySmtpAddress"] == box.smtp
        assert row["DisplayName"] == box.display_name
        assert row["ActiveSyncEnabled"] is box.enabled
        assert row["ActiveSyncAllowedDeviceIDs"] == list(box.allowed)
        assert row["ActiveSyncBlockedDeviceIDs"] == list(box.blocked)
        assert row["ActiveSyncMailboxPolicy"] == box.policy


def test_selected_properties_arrive_as_note_properties_in_the_order_asked_for(lab: Lab) -> None:
    """Select-Object moves what is chosen, renames the type, and makes what does not exist null."""
    with session(lab) as pool:
        answer = run(pool, "Get-MobileDevice", select=["Guid", "deviceid", "NoSuchThing"])
    assert answer.types[0] == "Selected.Microsoft.Exchange.Data.Directory.SystemConfiguration.MobileDevice"
    assert list(answer.rows[0]) == ["Guid", "DeviceId", "NoSuchThing"]
    assert answer.rows[0]["NoSuchThing"] is None


def test_without_projection_select_object_does_not_exist(make_lab: MakeLab) -> None:
    """A restricted endpoint answers as it does for any unknown command."""
    with session(make_lab(projection=False)) as pool:
        answer = run(pool, "Get-MobileDevice", select=["Guid"])
        commands = run(pool, "Get-Command")
    assert (answer.state, answer.error_ids) == (FAILED, ["CommandNotFoundException"])
    assert "Select-Object" not in {row["Name"] for row in commands.rows}


def test_the_full_wire_form_makes_objects_of_enumerations_and_ids(lab: Lab) -> None:
    """With serializationLevel=Full they carry type names and text; without it they are text."""
    for path, wanted in (("PowerShell", str), ("PowerShell?serializationLevel=Full", GenericComplexObject)):
        with session(lab, path=path) as pool:
            shell = PowerShell(pool).add_cmdlet("Get-MobileDevice").add_parameter("ResultSize", 1)
            (device,) = shell.invoke()
        state, identity = (device.adapted_properties[name] for name in ("DeviceAccessState", "Identity"))
        assert (type(state), type(identity)) == (wanted, wanted)
        assert str(state) == lab.organization.devices[0].state
        assert str(identity) == lab.organization.devices[0].identity


def test_more_than_a_thousand_results_need_to_be_asked_for(make_lab: MakeLab) -> None:
    """Without -ResultSize a listing ends at 1,000 with a warning; Unlimited has neither."""
    with session(make_lab(devices=1_200)) as pool:
        first = run(pool, "Get-MobileDevice", select=["Guid"])
        some = run(pool, "Get-MobileDevice", select=["Guid"], ResultSize=7)
        everything = run(pool, "Get-MobileDevice", select=["Guid"], ResultSize="Unlimited")
    assert (len(first.rows), first.warnings) == (1_000, [say("first-results", {})])
    assert (len(some.rows), some.warnings) == (7, [say("more-results", {})])
    assert (len(everything.rows), everything.warnings) == (1_200, [])


def test_a_session_sees_one_domain_until_told_otherwise(lab: Lab) -> None:
    """A raw session shows the first domain only."""
    with session(lab, whole_forest=False) as pool:
        few = run(pool, "Get-MobileDevice", select=["Guid"]).rows
        assert run(pool, "Set-ADServerSettings", ViewEntireForest=True).state == COMPLETED
        everything = run(pool, "Get-MobileDevice", select=["Guid"]).rows
    root = lab.organization.domains[0]
    assert len(few) == sum(device.mailbox.domain is root for device in lab.organization.devices)
    assert len(everything) == 300


def test_the_text_true_is_not_a_boolean(lab: Lab) -> None:
    """Only a Boolean will do, as in Exchange; the message says so."""
    with session(lab, whole_forest=False) as pool:
        answer = run(pool, "Set-ADServerSettings", ViewEntireForest="$true")
    assert answer.state == FAILED
    assert answer.error_ids == ["ParameterArgumentTransformationError,Set-ADServerSettings"]
    assert "Boolean parameters accept only Boolean values and numbers" in answer.errors[0][1]


def test_an_unknown_cmdlet_ends_the_pipeline(lab: Lab) -> None:
    """The pipeline fails with the error of a command that does not exist."""
    with session(lab) as pool:
        answer = run(pool, "Get-Nothing")
    assert (answer.state, answer.error_ids) == (FAILED, ["CommandNotFoundException"])
    assert answer.errors[0][1].startswith("The term 'Get-Nothing' is not recognized as the name of a cmdlet")


def test_an_unknown_parameter_ends_the_pipeline(lab: Lab) -> None:
    """The pipeline fails with the parameter's name."""
    with session(lab) as pool:
        answer = run(pool, "Get-MobileDevice", Colour="red")
    assert (answer.state, answer.error_ids) == (FAILED, ["NamedParameterNotFound,Get-MobileDevice"])
    assert "'colour'" in answer.errors[0][1].lower()


def test_script_text_is_refused(lab: Lab) -> None:
    """A session without a language takes commands, not scripts."""
    with session(lab) as pool:
        answer = finish(PowerShell(pool).add_script("Get-MobileDevice"))
    assert (answer.state, answer.error_ids) == (FAILED, ["ScriptsNotAllowed"])
    assert "no-language mode" in answer.errors[0][1]


def test_an_unknown_identity_is_an_error_beside_a_completed_pipeline(lab: Lab) -> None:
    """The error record names the type that clients match on."""
    with session(lab) as pool:
        answer = run(pool, "Get-MobileDevice", Identity="nobody")
    assert (answer.state, answer.rows) == (COMPLETED, [])
    assert "ManagementObjectNotFoundException" in answer.error_ids[0]
    assert "'nobody' couldn't be found on 'dc1.lab.example'" in answer.errors[0][1]


def test_an_empty_identity_gives_everything(lab: Lab) -> None:
    """As in Exchange, which is why a client must never send one."""
    with session(lab) as pool:
        assert len(run(pool, "Get-MobileDevice", Identity="", select=["Guid"]).rows) == 300


def test_statistics_of_an_orphan_fail_and_those_of_others_arrive(lab: Lab) -> None:
    """A device whose mailbox is gone has an error record; a good one has its times."""
    orphan = next(device for device in lab.organization.devices if device.mailbox.kind == "DisabledUser")
    good = next(device for device in lab.organization.devices if device.state == "Allowed")
    with session(lab) as pool:
        failed = run(pool, "Get-MobileDeviceStatistics", Identity=orphan.guid)
        row = run(pool, "Get-MobileDeviceStatistics", Identity=good.guid).rows[0]
    assert (failed.state, failed.rows) == (COMPLETED, [])
    assert "RecipientTaskException" in failed.error_ids[0]
    assert (row["DeviceID"], row["Status"]) == (good.device_id, "DeviceOk")
    assert row["LastSuccessSync"].endswith("Z")


def test_long_output_spans_several_receives(lab: Lab) -> None:
    """An answer never grows beyond the envelope that the client asked for."""
    sizes: list[int] = []
    with session(lab, max_envelope_size=60_000) as pool:
        transport = pool.connection.transport
        real: Callable[..., bytes] = transport.send

        def measured(message: bytes, **options: object) -> bytes:
            answer = real(message, **options)
            sizes.append(len(answer))
            return answer

        transport.send = measured  # type: ignore[method-assign]
        rows = run(pool, "Get-MobileDevice").rows
    assert len(rows) == 300
    assert sum(size > 40_000 for size in sizes) > 10
    assert max(sizes) <= 60_000


def test_waiting_ends_with_the_timeout_fault(make_lab: MakeLab) -> None:
    """A Receive with nothing to give is answered by w:TimedOut after its operation timeout; asking again works."""
    slow = make_lab(latency=1.5)
    with session(slow, whole_forest=False) as pool:
        shell = PowerShell(pool).add_cmdlet("Get-MobileDevice").add_parameter("ResultSize", 3)
        shell.begin_invoke()
        with pytest.raises(WSManFaultError) as fault:
            pool.shell.receive("stdout", command_id=shell.id, timeout=1)
        assert fault.value.code == 2150858793
        assert len(shell.end_invoke()) == 3


def test_a_deleted_shell_is_gone(lab: Lab) -> None:
    """Whoever asks for it is told by the fault that clients know; the number of open shells goes back."""
    before = len(lab.shells)
    wsman = connection(lab)
    pool = RunspacePool(wsman, configuration_name="Microsoft.Exchange")
    pool.open()
    assert len(lab.shells) == before + 1
    selectors = pool.shell._selector_set
    wsman.delete(pool.shell.resource_uri, selector_set=selectors)
    assert len(lab.shells) == before
    with pytest.raises(WSManFaultError) as fault:
        PowerShell(pool).add_cmdlet("Get-MobileDevice").invoke()
    assert fault.value.code == 2150858843
    assert "was not found on the server" in str(fault.value)


def test_a_running_pipeline_can_be_stopped(make_lab: MakeLab) -> None:
    """A stop signal ends a cmdlet that is still running, and the session goes on."""
    with session(make_lab(latency=30.0), whole_forest=False) as pool:
        shell = PowerShell(pool).add_cmdlet("Get-MobileDevice")
        shell.begin_invoke()
        shell.stop()
        assert shell.output == []
        pool.shell.signal(SignalCode.TERMINATE, shell.id)
        with pytest.raises(WSManFaultError) as fault:
            pool.shell.receive("stdout", command_id=shell.id, timeout=1)
    assert fault.value.code == 2150858843


def test_a_user_has_so_many_shells_and_no_more(make_lab: MakeLab) -> None:
    """The fault names the quota; closing one makes room."""
    small = make_lab(max_shells=2)
    with session(small) as first, session(small):
        with pytest.raises(WSManFaultError) as fault, session(small):
            pass
        assert fault.value.code == 2150859173
        assert "maximum number of 2 concurrent shells" in str(fault.value)
        first.close()
        with session(small):
            assert len(small.shells) == 2


def test_many_sessions_work_side_by_side(lab: Lab) -> None:
    """Eight threads with a session each get the same organization."""
    counts: list[int] = []

    def work() -> None:
        with session(lab) as pool:
            counts.append(len(run(pool, "Get-MobileDevice", select=["Guid"]).rows))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [300] * 8


def test_one_session_runs_pipelines_side_by_side(lab: Lab) -> None:
    """Two pipelines of one session each get their own output."""
    with session(lab) as pool:
        devices = PowerShell(pool).add_cmdlet("Get-MobileDevice").add_parameter("ResultSize", 4)
        servers = PowerShell(pool).add_cmdlet("Get-ExchangeServer")
        devices.begin_invoke()
        servers.begin_invoke()
        assert len(servers.end_invoke()) == 3
        assert len(devices.end_invoke()) == 4


def test_the_call_log_is_a_witness(make_lab: MakeLab) -> None:
    """Every cmdlet is written down with its parameters, user and shell."""
    watched = make_lab()
    with session(watched) as pool:
        run(pool, "Get-CASMailbox", ResultSize="Unlimited", select=["Guid"])
        names = [(call.cmdlet, call.parameters) for call in watched.calls]
        assert {call.shell for call in watched.calls} == {pool.id}
    assert names == [
        ("Set-ADServerSettings", {"ViewEntireForest": True}),
        ("Get-CASMailbox", {"ResultSize": None}),
        ("Select-Object", {"Property": ("Guid",)}),
    ]
    assert {call.user for call in watched.calls} == {watched.user}


def test_who_waits_for_a_deleted_shell_is_told(make_lab: MakeLab) -> None:
    """A Receive that is under way ends with the fault that the shell is gone."""
    lab = make_lab(latency=60.0)
    waiting, other = connection(lab), connection(lab)
    pool = RunspacePool(waiting, configuration_name="Microsoft.Exchange")
    pool.open()
    shell = PowerShell(pool).add_cmdlet("Get-MobileDevice")
    shell.begin_invoke()
    codes: list[object] = []

    def wait() -> None:
        try:
            pool.shell.receive("stdout", command_id=shell.id, timeout=30)
        except WSManFaultError as fault:
            codes.append(fault.code)

    thread = threading.Thread(target=wait)
    thread.start()
    other.delete(pool.shell.resource_uri, selector_set=pool.shell._selector_set)
    thread.join(20)
    assert codes == [2150858843]


def test_idle_shells_end_when_another_is_opened(make_lab: MakeLab) -> None:
    """A leaked shell counts until it has been idle for long enough."""
    lab = make_lab(max_shells=1)
    leaked = RunspacePool(connection(lab), configuration_name="Microsoft.Exchange")
    leaked.open()
    with pytest.raises(WSManFaultError), session(lab):
        pass
    lab.shells.idle = 0.0
    with session(lab) as pool:
        assert len(run(pool, "Get-ExchangeServer").rows) == 3
    assert len(lab.shells) == 0


def test_a_listing_can_be_broken_off_in_its_middle(make_lab: MakeLab) -> None:
    """Rows that were not received are never rendered, and the session goes on."""
    lab = make_lab(devices=3_000)
    with session(lab, max_envelope_size=60_000) as pool:
        shell = PowerShell(pool).add_cmdlet("Get-MobileDevice").add_parameter("ResultSize", "Unlimited")
        shell.begin_invoke()
        shell.poll_invoke()
        assert 0 < len(shell.output) < 100
        shell.stop()
        pool.shell.signal(SignalCode.TERMINATE, shell.id)
        assert len(run(pool, "Get-ExchangeServer").rows) == 3


def test_command_metadata_is_refused_in_words(lab: Lab) -> None:
    """A client that asks for it in place of Get-Command is told, and does not wait for ever."""
    with session(lab) as pool:
        shell = PowerShell(pool)
        shell._invoke(GetCommandMetadata(["*"], CommandType.ALL, None, None))
        assert shell.end_invoke() == []
    assert shell.state == FAILED
    assert "Use Get-Command." in str(shell.streams.error[0])


def test_a_command_without_a_message_is_refused(lab: Lab) -> None:
    """The fault says so, and the session goes on."""
    with session(lab) as pool:
        with pytest.raises(WSManFaultError, match="holds no PowerShell message"):
            pool.shell.command("", arguments=["AAAA"], command_id=None)
        assert len(run(pool, "Get-ExchangeServer").rows) == 3

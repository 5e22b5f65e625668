"""The printed roles: exactly what is declared and used, and nothing that a person types leaves its quotes."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from gatepost.cli.main import app
from gatepost.errors import CmdletNotGranted, UsageError
from gatepost.exchange import cmdlets, roles
from gatepost.exchange.commands import Duty
from gatepost.exchange.organization import Organization
from gatepost.lab.server import Lab
from gatepost.quoting import quoted
from tests.exchange import verbs
from tests.exchange.conftest import settings_of
from tests.fixtures.lab import MakeLab

EVERYTHING = tuple(Duty)
QUOTES = "'\u2018\u2019\u201a\u201b"
TOKEN = re.compile(
    rf"(?P<blank>\s+)|(?P<comment>#[^\n]*)|(?P<string>[{QUOTES}](?:[^{QUOTES}]|[{QUOTES}]{{2}})*[{QUOTES}])"
    r"|(?P<char>\[string\]\[char\]0x[0-9A-F]{4})|(?P<word>[\w-]+)|(?P<sign>[@$(){}\[\]+=;,.|:*!\\])"
)
ENTRY = re.compile(
    r"@\{ Duty = '(\w+)'; Cmdlet = '([\w-]+)'; Role = '([\w -]+)'\s+Parameters = @\(([^)]*)\)"
    r"(?:\s+Old = '([\w-]+)')?(?:\s+OldParameters = @\(([^)]*)\))?"
)
TYPED = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20) | st.lists(
    st.sampled_from([*QUOTES, '"', "$", "`", "(", ")", "#", "{", "}", ";", "a", " ", "\U0001f600"])
).map("".join)


def tokens(script: str) -> Iterator[tuple[str, str]]:
    """PowerShell, as far as our scripts use it: kinds and texts. A character that is none of ours fails."""
    place = 0
    while place < len(script):
        found = TOKEN.match(script, place)
        assert found is not None, f"not PowerShell that we write: {script[place : place + 40]!r}"
        place = found.end()
        if found.lastgroup not in ("blank", "comment"):
            yield str(found.lastgroup), found[0]


def meaning(expression: str) -> str:
    """What an expression of strings and characters is, as PowerShell would read it."""
    units = []
    for kind, text in tokens(expression):
        if kind == "string":
            units.append(re.sub(rf"([{QUOTES}])[{QUOTES}]", r"\1", text[1:-1]).encode("utf-16-be"))
        elif kind == "char":
            units.append(int(text[-4:], 16).to_bytes(2, "big"))
        else:
            assert text in "(+)", text
    return b"".join(units).decode("utf-16-be")


def shape(script: str) -> list[str]:
    """A script without what its strings hold; a text of several pieces counts as one."""
    kinds = " ".join("TEXT" if kind in ("string", "char") else text for kind, text in tokens(script))
    return re.sub(r"\( TEXT (\+ TEXT )*\)", "TEXT", kinds).split()


def printed(script: str) -> dict[tuple[str, str], set[str]]:
    """What a script grants: parameters by duty and cmdlet."""
    return {(found[1], found[2]): set(re.findall(r"'(\w+)'", found[4])) for found in ENTRY.finditer(script)}


@given(TYPED)
def test_a_text_stays_within_its_quotes(text: str) -> None:
    """Read back by PowerShell's rules, typographic quotes among them, it is the text; it is one line of ASCII."""
    expression = quoted(text)
    assert meaning(expression) == text
    assert expression.isascii()
    assert "\n" not in expression


@given(TYPED, TYPED)
def test_what_a_person_types_changes_no_other_part_of_the_script(user: str, group: str) -> None:
    """The scripts have the same shape whatever account and group are named."""
    account = "EXAMPLE\\" + user.translate({ord("@"): "a", ord("\\"): "b"}) + "x"
    plain = roles.script(EVERYTHING, account="EXAMPLE\\svc", scope_group="CN=x")
    assert shape(roles.script(EVERYTHING, account=account, scope_group=f"CN={group}")) == shape(plain)
    assert shape(roles.removal(account)) == shape(roles.removal("EXAMPLE\\svc"))


@pytest.mark.parametrize("text", ["a\nb", "a\r", "\x1b[0m", "a\x00", "a\u2028b"])
def test_a_control_character_is_refused(text: str) -> None:
    """A line end could begin another command."""
    with pytest.raises(UsageError, match="A name has a control character in it"):
        roles.removal(f"EXAMPLE\\{text}")
    with pytest.raises(UsageError, match="A name has a control character in it"):
        roles.script(EVERYTHING, scope_group=f"CN={text}")


def test_what_is_printed_is_what_is_declared() -> None:
    """All duties together grant every declared cmdlet with all of its parameters, and no other."""
    granted: dict[str, set[str]] = {}
    for (_, name), parameters in printed(roles.script(EVERYTHING)).items():
        granted.setdefault(name, set()).update(parameters)
    assert granted == {cmdlet.name: set(cmdlet.parameters) for cmdlet in cmdlets.EXCHANGE}


def test_reading_grants_nothing_that_writes() -> None:
    """In observe mode, the only cmdlet that is no Get- changes the view of its own session."""
    names = {name for _, name in printed(roles.script(roles.duties("observe")))}
    assert {name for name in names if not name.startswith("Get-")} == {"Set-ADServerSettings"}


def test_the_gate_grants_the_two_lists_and_no_more() -> None:
    """Writing the lists does not bring the right to switch ActiveSync or to change the policy of a mailbox."""
    found = printed(roles.script(roles.duties("enforce")))
    lists = {"ActiveSyncAllowedDeviceIDs", "ActiveSyncBlockedDeviceIDs"}
    assert {name for duty, name in found if duty == "gate"} == {"Set-CASMailbox"}
    assert found["gate", "Set-CASMailbox"] == lists | {"Identity", "Confirm", "DomainController"}


def lab_roles(profile: str, wanted: tuple[Duty, ...]) -> tuple[str, ...]:
    """The lab's roles, cut to exactly what a script for these duties prints."""
    found = []
    for entry in roles.entries(wanted):
        older = profile == "2010sp1" and entry.old
        name, parameters = (entry.old, entry.old_parameters) if older else (entry.name, entry.parameters)
        found.append(f"{entry.role}\\{name} {' '.join(parameters)}")
    return tuple(found)


def used(lab: Lab) -> dict[str, set[str]]:
    """The cmdlets that the lab was asked for, each with the parameters that it was given."""
    found: dict[str, set[str]] = {}
    for call in lab.calls:
        found.setdefault(call.cmdlet, set()).update(call.parameters)
    return {name: parameters for name, parameters in found.items() if name not in ("Get-Command", "Select-Object")}


@pytest.mark.parametrize("profile", ["2010sp1", "2013", "2016", "se"])
def test_an_account_with_the_printed_roles_can_do_everything(make_lab: MakeLab, profile: str) -> None:
    """Every verb works; in the newest Exchange exactly what is printed is used, in an older one no more than that."""
    lab = make_lab(profile=profile, roles=lab_roles(profile, EVERYTHING))
    with Organization.connect(settings_of(lab), lab.password) as organization:
        for verb in (verbs.read, verbs.gate, verbs.settle, verbs.wipe):
            verb(lab, organization)
    declared = {cmdlet.name: set(cmdlet.parameters) for cmdlet in cmdlets.EXCHANGE}
    if profile == "se":
        assert used(lab) == declared
    elif profile != "2010sp1":
        assert all(parameters <= declared[name] for name, parameters in used(lab).items())


@pytest.mark.parametrize(
    ("wanted", "works", "refused"),
    [
        ((Duty.READ,), (verbs.read,), (verbs.gate, verbs.settle, verbs.wipe)),
        ((Duty.READ, Duty.GATE), (verbs.read, verbs.gate), (verbs.settle, verbs.wipe)),
        ((Duty.READ, Duty.WIPE), (verbs.read, verbs.wipe), (verbs.gate, verbs.settle)),
        ((Duty.READ, Duty.SETTINGS), (verbs.read, verbs.settle), (verbs.gate, verbs.wipe)),
    ],
)
def test_each_duty_is_apart(make_lab: MakeLab, wanted: tuple[Duty, ...], works: tuple[verbs.Verb, ...],
                            refused: tuple[verbs.Verb, ...]) -> None:  # fmt: skip
    """What is for another duty does not exist for the account."""
    lab = make_lab(profile="se", roles=lab_roles("se", wanted))
    with Organization.connect(settings_of(lab), lab.password) as organization:
        for verb in works:
            verb(lab, organization)
        for verb in refused:
            with pytest.raises(CmdletNotGranted):
                verb(lab, organization)


def test_the_command_prints_a_script_without_connecting() -> None:
    """With --print no address is asked for; what is printed is the script and nothing else."""
    options = ["--mode", "enforce", "--wipe", "--account", "EXAMPLE\\svc", "--scope-group", "CN=O'Brien,DC=example"]
    result = CliRunner().invoke(app, ["exchange", "rbac", "--print", *options])
    assert result.exit_code == 0
    wanted = roles.duties("enforce", wipe=True)
    assert result.stdout == roles.script(wanted, account="EXAMPLE\\svc", scope_group="CN=O'Brien,DC=example")
    assert "$scopeGroup = 'CN=O''Brien,DC=example'" in result.stdout
    undo = CliRunner().invoke(app, ["exchange", "rbac", "--print", "--remove"])
    assert undo.stdout == roles.removal()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--account", "svc"], "'svc' is no account"),
        (["--account", "a\\b\\c"], "is no account"),
        (["--scope-group", "Phones"], "'Phones' is no distinguished name"),
    ],
)
def test_what_cannot_be_an_account_or_a_group_is_refused(options: list[str], words: str) -> None:
    """With a sentence that says what is expected."""
    result = CliRunner().invoke(app, ["exchange", "rbac", "--print", *options])
    assert isinstance(result.exception, UsageError)
    assert words in str(result.exception)
    assert "Give one such as" in str(result.exception)


def test_a_mode_that_is_none_is_refused() -> None:
    """A misspelt mode is not taken for either."""
    result = CliRunner().invoke(app, ["exchange", "rbac", "--print", "--mode", "enforced"])
    assert result.exit_code == 2
    assert "choose one of observe, enforce" in result.stderr

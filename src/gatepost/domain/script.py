"""The PowerShell file that takes our entries off the lists, for an administrator to run when nobody else does.

It names exactly the entries that the ledger calls ours, one call for each mailbox, and removes only what is still there
as it was. Texts of others are quoted so that nothing in them is ever a command.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from gatepost.quoting import listed, quoted

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
LINE = "\r\n"


@dataclass(frozen=True, slots=True)
class MailboxEntries:
    """Our entries in one mailbox. ``name`` is for people."""

    guid: str
    name: str
    allowed: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()


HEAD = """\
# Takes back the entries that Gatepost made in the personal lists of allowed and blocked devices.
# Organization: {organization}
# Made: {made} by {by}
# Entries: {entries} in {mailboxes} mailboxes. Entries of anybody else are not named here and stay as they are.
#
# Run it in the Exchange Management Shell. Look first what it would do:  .\\{name} -WhatIf
# An entry that is gone, or whose device is now on the mailbox's other list as well, is left alone and told.

[CmdletBinding(SupportsShouldProcess = $true)]
param()

$ErrorActionPreference = 'Stop'

function Undo-GatepostEntry {{
    [CmdletBinding(SupportsShouldProcess = $true)]
    param([string] $Mailbox, [string] $Name, [string[]] $Allowed = @(), [string[]] $Blocked = @())

    try {{
        $now = Get-CASMailbox -Identity $Mailbox
    }} catch {{
        Write-Warning "$Name is skipped: $($_.Exception.Message)"
        return
    }}
    $onAllowed = @($now.ActiveSyncAllowedDeviceIDs | ForEach-Object {{ "$_" }})
    $onBlocked = @($now.ActiveSyncBlockedDeviceIDs | ForEach-Object {{ "$_" }})
    $allow = @($Allowed | Where-Object {{ ($onAllowed -contains $_) -and ($onBlocked -notcontains $_) }})
    $block = @($Blocked | Where-Object {{ ($onBlocked -contains $_) -and ($onAllowed -notcontains $_) }})
    $skipped = @($Allowed | Where-Object {{ $allow -notcontains $_ }})
    $skipped += @($Blocked | Where-Object {{ $block -notcontains $_ }})
    foreach ($id in $skipped) {{
        Write-Warning "${{Name}}: $id is not as Gatepost left it, and stays as it is."
    }}
    $change = @{{ Identity = $Mailbox }}
    if ($allow.Count) {{ $change.ActiveSyncAllowedDeviceIDs = @{{ Remove = $allow }} }}
    if ($block.Count) {{ $change.ActiveSyncBlockedDeviceIDs = @{{ Remove = $block }} }}
    if ($change.Count -gt 1 -and $PSCmdlet.ShouldProcess($Name, "take off: $(($allow + $block) -join ', ')")) {{
        Set-CASMailbox @change
    }}
}}
"""


def undoing(organization: str, by: str, made: datetime, mailboxes: Iterable[MailboxEntries], name: str) -> str:
    """The file's text, with Windows line ends. ``name`` is the file's own, ``made`` in UTC."""
    known = sorted(mailboxes, key=lambda each: (each.name, each.guid))
    head = HEAD.format(
        organization=_comment(organization),
        by=_comment(by),
        made=made.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        entries=sum(len(each.allowed) + len(each.blocked) for each in known),
        mailboxes=len(known),
        name=name,
    )
    calls = [_call(each) for each in known]
    return LINE.join([*head.splitlines(), "", *calls, ""])


def _call(mailbox: MailboxEntries) -> str:
    parts = [f"Undo-GatepostEntry -Mailbox {quoted(mailbox.guid)} -Name {quoted(mailbox.name)}"]
    if mailbox.allowed:
        parts.append(f"-Allowed {listed(mailbox.allowed)}")
    if mailbox.blocked:
        parts.append(f"-Blocked {listed(mailbox.blocked)}")
    return " ".join(parts)


def _comment(text: str) -> str:
    """A text within one line of a comment."""
    return _CONTROL.sub(" ", text)

"""The text of the scripts that ``roles`` fills in: for the Exchange Management Shell of Exchange 2010 SP1 and later.

Windows PowerShell 2.0 must read them, so they use nothing newer. ``{{NAME}}`` is where a value goes.
"""

import re
from collections.abc import Mapping

_PLACE = re.compile(r"\{\{([A-Z]+)\}\}")

MAKE = r"""# Roles for Gatepost's account with exactly the cmdlets and parameters that Gatepost uses, and no more.
# Run this in the Exchange Management Shell as a member of Organization Management. It is safe to run again:
# what is there is brought to what stands here. Role groups of duties that are not named here are left alone.
$ErrorActionPreference = 'Stop'
$duties = {{DUTIES}}
$account = {{ACCOUNT}}   # becomes a member of the role groups; empty: nobody does
$scopeGroup = {{GROUP}}   # only its members' mailboxes and devices can be written to; empty: all can
$concurrency = {{CONCURRENCY}}   # sessions that Gatepost opens at a time, and three in reserve
$entries = @(
{{ENTRIES}}
)

# The form of a cmdlet that this Exchange has: its name since 2013, else the older one; without what came later.
function Get-GatepostForm($entry) {
    $older = $entry.Parameters
    if ($entry.ContainsKey('OldParameters')) { $older = $entry.OldParameters }
    $forms = @(@{ Name = $entry.Cmdlet; Parameters = $entry.Parameters })
    if ($entry.ContainsKey('Old')) { $forms += @{ Name = $entry.Old; Parameters = $older } }
    foreach ($form in $forms) {
        if (@(Get-ManagementRole -Cmdlet $form.Name -ErrorAction SilentlyContinue).Count -eq 0) { continue }
        $known = @()
        foreach ($parameter in $form.Parameters) {
            $having = @{ Cmdlet = $form.Name; CmdletParameters = $parameter; ErrorAction = 'SilentlyContinue' }
            if (@(Get-ManagementRole @having).Count -gt 0) { $known += $parameter }
        }
        return @{ Name = $form.Name; Parameters = $known }
    }
    Write-Warning ('This Exchange has no ' + $entry.Cmdlet + '; it is left out.')
    return $null
}

# The built-in role to cut from: the usual one, else whichever grants all of it.
function Get-GatepostParent($form, $usual) {
    if ($form.Parameters.Count -gt 0) {
        $having = @(Get-ManagementRole -Cmdlet $form.Name -CmdletParameters $form.Parameters)
    } else {
        $having = @(Get-ManagementRole -Cmdlet $form.Name)
    }
    $names = @($having | Where-Object { $_.IsRootRole -and -not $_.IsEndUserRole } | ForEach-Object { $_.Name })
    if ($names -contains $usual) { return $usual }
    if ($names.Count -eq 0) { throw ('No built-in role grants all that is needed of ' + $form.Name) }
    return $names[0]
}

# Which roles there are to be, each with its cmdlets and their parameters.
$roles = @{}
foreach ($entry in $entries) {
    $form = Get-GatepostForm $entry
    if ($form -eq $null) { continue }
    $parent = Get-GatepostParent $form $entry.Role
    $name = 'Gatepost ' + $entry.Duty + ' - ' + $parent
    if (-not $roles.ContainsKey($name)) { $roles[$name] = @{ Duty = $entry.Duty; Parent = $parent; Cmdlets = @{} } }
    $roles[$name].Cmdlets[$form.Name] = $form.Parameters
}

foreach ($name in @($roles.Keys)) {
    $role = $roles[$name]
    if (@(Get-ManagementRole $name -ErrorAction SilentlyContinue).Count -eq 0) {
        New-ManagementRole -Name $name -Parent $role.Parent | Out-Null
    }
    foreach ($cmdlet in @($role.Cmdlets.Keys)) {
        $entryName = $name + '\' + $cmdlet
        $parameters = $role.Cmdlets[$cmdlet]
        if (@(Get-ManagementRoleEntry $entryName -ErrorAction SilentlyContinue).Count -eq 0) {
            Add-ManagementRoleEntry $entryName
        }
        if ($parameters.Count -gt 0) { Set-ManagementRoleEntry $entryName -Parameters $parameters }
    }
    foreach ($have in @(Get-ManagementRoleEntry ($name + '\*'))) {
        if (-not $role.Cmdlets.ContainsKey($have.Name)) {
            Remove-ManagementRoleEntry ($name + '\' + $have.Name) -Confirm:$false
        }
    }
}

# Whose mailboxes may be written to.
if ($scopeGroup -ne '') {
    $filter = 'MemberOfGroup -eq ''' + $scopeGroup.Replace('''', '''''') + ''''
    if (@(Get-ManagementScope 'Gatepost' -ErrorAction SilentlyContinue).Count -eq 0) {
        New-ManagementScope -Name 'Gatepost' -RecipientRestrictionFilter $filter | Out-Null
    } else {
        Set-ManagementScope 'Gatepost' -RecipientRestrictionFilter $filter
    }
}

foreach ($duty in $duties) {
    $group = 'Gatepost ' + $duty
    if (@(Get-RoleGroup $group -ErrorAction SilentlyContinue).Count -eq 0) {
        New-RoleGroup -Name $group -Description 'What Gatepost may do (gatepost exchange rbac --print)' | Out-Null
    }
    foreach ($name in @($roles.Keys)) {
        if ($roles[$name].Duty -ne $duty) { continue }
        $assigned = @(Get-ManagementRoleAssignment -RoleAssignee $group -Role $name -ErrorAction SilentlyContinue)
        if ($assigned.Count -eq 0) {
            New-ManagementRoleAssignment -SecurityGroup $group -Role $name | Out-Null
        }
        $reaches = [string](Get-ManagementRole $name).ImplicitRecipientWriteScope
        if ($scopeGroup -ne '' -and $duty -ne 'read' -and $reaches -eq 'Organization') {
            foreach ($assignment in @(Get-ManagementRoleAssignment -RoleAssignee $group -Role $name)) {
                Set-ManagementRoleAssignment $assignment.Name -CustomRecipientWriteScope 'Gatepost'
            }
        }
    }
    if ($account -ne '') {
        try { Add-RoleGroupMember $group -Member $account }
        catch { if ($_.CategoryInfo.Reason -ne 'MemberAlreadyExistsException') { throw } }
    }
}

# The account's budget, and its way in.
if (@(Get-ThrottlingPolicy 'Gatepost' -ErrorAction SilentlyContinue).Count -eq 0) {
    New-ThrottlingPolicy -Name 'Gatepost' | Out-Null
}
Set-ThrottlingPolicy 'Gatepost' -PowerShellMaxConcurrency $concurrency
if ($account -ne '') {
    Set-ThrottlingPolicyAssociation $account -ThrottlingPolicy 'Gatepost'
    Set-User $account -RemotePowerShellEnabled $true
}
"""

REMOVE = r"""# Takes away what gatepost exchange rbac --print has made: role groups, roles, scope, throttling policy.
# Run this in the Exchange Management Shell as a member of Organization Management. It is safe to run again.
# The account itself stays, and so does everything that has another name.
$ErrorActionPreference = 'Stop'
$duties = {{DUTIES}}
$account = {{ACCOUNT}}   # gets the usual throttling policy back; empty: see to that before

foreach ($duty in $duties) {
    $group = 'Gatepost ' + $duty
    if (@(Get-RoleGroup $group -ErrorAction SilentlyContinue).Count -gt 0) {
        Remove-RoleGroup $group -BypassSecurityGroupManagerCheck -Confirm:$false
    }
    foreach ($role in @(Get-ManagementRole ('Gatepost ' + $duty + ' - *') -ErrorAction SilentlyContinue)) {
        foreach ($assignment in @(Get-ManagementRoleAssignment -Role $role.Name -ErrorAction SilentlyContinue)) {
            Remove-ManagementRoleAssignment $assignment.Name -Confirm:$false
        }
        Remove-ManagementRole $role.Name -Confirm:$false
    }
}
if (@(Get-ManagementScope 'Gatepost' -ErrorAction SilentlyContinue).Count -gt 0) {
    Remove-ManagementScope 'Gatepost' -Confirm:$false
}
if ($account -ne '') { Set-ThrottlingPolicyAssociation $account -ThrottlingPolicy $null }
if (@(Get-ThrottlingPolicy 'Gatepost' -ErrorAction SilentlyContinue).Count -gt 0) {
    Remove-ThrottlingPolicy 'Gatepost' -Confirm:$false
}
"""


def filled(template: str, values: Mapping[str, str]) -> str:
    """A script with its values, each put in once: what a value holds is not looked at again."""
    return _PLACE.sub(lambda found: values[found[1]], template)

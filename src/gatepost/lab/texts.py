"""What the lab's Exchange says, in the language of its server: English, Dutch or German.

Clients must not read these: they match on types and ids, which are the same in every language. So a lab that speaks
Dutch finds the client that reads them after all. Type names, ids and the codes of the directory are never translated.
"""

from collections.abc import Mapping

LANGUAGES = ("en", "nl", "de")
"""The languages, in the order of each entry below."""

TEXTS: dict[str, tuple[str, str, str]] = {
    "script": (
        "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode.",
        "De syntaxis wordt niet ondersteund door deze runspace. Mogelijk staat de runspace in de modus zonder taal.",
        "Die Syntax wird von diesem Runspace nicht unterstützt. Möglicherweise ist der Runspace im Modus ohne Sprache.",
    ),
    "metadata": (
        "Command metadata is not available in this session. Use Get-Command.",
        "Metagegevens van opdrachten zijn niet beschikbaar in deze sessie. Gebruik Get-Command.",
        "Metadaten von Befehlen sind in dieser Sitzung nicht verfügbar. Verwenden Sie Get-Command.",
    ),
    "command": (
        "The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program. "
        "Check the spelling of the name, or if a path was included, verify that the path is correct and try again.",
        "De term '{name}' wordt niet herkend als de naam van een cmdlet, functie, scriptbestand of uitvoerbaar "
        "programma. Controleer de spelling van de naam en probeer het opnieuw.",
        'Die Benennung "{name}" wurde nicht als Name eines Cmdlet, einer Funktion, einer Skriptdatei oder eines '
        "ausführbaren Programms erkannt. Überprüfen Sie die Schreibweise und wiederholen Sie den Vorgang.",
    ),
    "many-values": (
        "Cannot validate argument on parameter '{name}'. The number of provided arguments, ({given}), exceeds the "
        "maximum number of allowed arguments ({most}). Provide fewer than {most} arguments, and then try the command "
        "again.",
        "Kan argument voor parameter '{name}' niet valideren. Het aantal opgegeven argumenten ({given}) is groter dan "
        "het toegestane aantal ({most}).",
        'Das Argument für den Parameter "{name}" kann nicht überprüft werden. Die Anzahl der Argumente ({given}) '
        "überschreitet die zulässige Anzahl ({most}).",
    ),
    "parameter": (
        "A parameter cannot be found that matches parameter name '{name}'.",
        "Er is geen parameter gevonden die overeenkomt met parameternaam '{name}'.",
        'Es wurde kein Parameter gefunden, der dem Parameternamen "{name}" entspricht.',
    ),
    "position": (
        "A positional parameter cannot be found that accepts argument '{value}'.",
        "Er is geen positionele parameter gevonden die argument '{value}' accepteert.",
        'Es wurde kein Positionsparameter gefunden, der das Argument "{value}" akzeptiert.',
    ),
    "value": (
        "Cannot process argument transformation on parameter '{name}'. {detail}",
        "Kan argumenttransformatie voor parameter '{name}' niet verwerken. {detail}",
        'Die Argumenttransformation für den Parameter "{name}" kann nicht verarbeitet werden. {detail}',
    ),
    "null": (
        "Cannot bind argument to parameter '{name}' because it is null.",
        "Kan het argument niet binden aan parameter '{name}' omdat het null is.",
        'Das Argument kann nicht an den Parameter "{name}" gebunden werden, da es NULL ist.',
    ),
    "missing": (
        "Cannot process command because of one or more missing mandatory parameters: {names}.",
        "Kan opdracht niet verwerken omdat een of meer verplichte parameters ontbreken: {names}.",
        "Der Befehl kann nicht verarbeitet werden, da verbindliche Parameter fehlen: {names}.",
    ),
    "ambiguous": (
        "Parameter set cannot be resolved using the specified named parameters.",
        "Kan parameterset niet omzetten met de opgegeven benoemde parameters.",
        "Der Parametersatz kann mit den angegebenen benannten Parametern nicht aufgelöst werden.",
    ),
    "not-found": (
        "The operation couldn't be performed because object '{identity}' couldn't be found on '{controller}'.",
        "De bewerking kan niet worden uitgevoerd omdat object '{identity}' niet is gevonden op '{controller}'.",
        'Der Vorgang konnte nicht ausgeführt werden, da das Objekt "{identity}" auf "{controller}" nicht gefunden '
        "wurde.",
    ),
    "exists": (
        "Active Directory operation failed on {controller}. The object '{name}' already exists.",
        "De Active Directory-bewerking is mislukt op {controller}. Het object '{name}' bestaat al.",
        'Active Directory-Vorgang auf {controller} fehlgeschlagen. Das Objekt "{name}" ist bereits vorhanden.',
    ),
    "denied": (
        "Active Directory operation failed on {controller}. This error is not retriable. Additional information: "
        "Insufficient access rights to perform the operation.\nActive directory response: {code}",
        "De Active Directory-bewerking is mislukt op {controller}. Deze fout kan niet opnieuw worden geprobeerd. "
        "Aanvullende informatie: Onvoldoende toegangsrechten om de bewerking uit te voeren.\n"
        "Active Directory-antwoord: {code}",
        "Active Directory-Vorgang auf {controller} fehlgeschlagen. Dieser Fehler kann nicht wiederholt werden. "
        "Zusätzliche Informationen: Die Zugriffsrechte reichen zum Ausführen des Vorgangs nicht aus.\n"
        "Active Directory-Antwort: {code}",
    ),
    "mailbox-elsewhere": (
        "The mailbox of the mobile device '{identity}' can't be opened: it isn't a mailbox in this organization.",
        "Het postvak van het mobiele apparaat '{identity}' kan niet worden geopend: het is geen postvak in deze "
        "organisatie.",
        'Das Postfach des mobilen Geräts "{identity}" kann nicht geöffnet werden: Es ist kein Postfach in dieser '
        "Organisation.",
    ),
    "filter": (
        'Cannot bind parameter \'Filter\' to the target. Exception setting "Filter": "Invalid filter syntax. '
        '{problem}\n"{text}" at position {place}."',
        "Kan parameter 'Filter' niet aan het doel binden. Uitzondering bij instellen van \"Filter\": \"Ongeldige "
        'filtersyntaxis. {problem}\n"{text}" op positie {place}."',
        'Der Parameter "Filter" kann nicht an das Ziel gebunden werden. Ausnahme beim Festlegen von "Filter": '
        '"Ungültige Filtersyntax. {problem}\n"{text}" an Position {place}."',
    ),
    "too-long": (
        "The length of the property is too long. The maximum length is {most} and the length of the value provided is "
        "{given}. Property Name: {name}",
        "De eigenschap is te lang. De maximumlengte is {most} en de lengte van de opgegeven waarde is {given}. "
        "Naam van eigenschap: {name}",
        "Die Eigenschaft ist zu lang. Die maximale Länge beträgt {most}, die Länge des angegebenen Werts {given}. "
        "Eigenschaftenname: {name}",
    ),
    "default-policy": (
        "The mailbox policy '{name}' can't be removed because it's the default policy of the organization.",
        "Het postvakbeleid '{name}' kan niet worden verwijderd, want het is het standaardbeleid van de organisatie.",
        'Die Postfachrichtlinie "{name}" kann nicht entfernt werden, da sie die Standardrichtlinie der Organisation '
        "ist.",
    ),
    "no-host": (
        "A command that prompts the user failed because the host program or the command type does not support user "
        "interaction. The host was attempting to request confirmation with the following message: {question}",
        "Een opdracht die de gebruiker om invoer vraagt is mislukt, omdat het hostprogramma of het type opdracht geen "
        "gebruikersinteractie ondersteunt. De host wilde om bevestiging vragen met dit bericht: {question}",
        "Ein Befehl mit einer Benutzeraufforderung ist fehlgeschlagen, da das Hostprogramm oder der Befehlstyp keine "
        "Benutzerinteraktion unterstützt. Der Host wollte mit folgender Meldung um Bestätigung bitten: {question}",
    ),
    "lab": (
        "The lab failed: {what}",
        "Het lab is mislukt: {what}",
        "Das Labor ist gescheitert: {what}",
    ),
    "first-results": (
        "By default, only the first 1000 items are returned. Use the ResultSize parameter to specify the number of "
        'items returned. To return all items, specify "-ResultSize Unlimited". Be aware that, depending on the actual '
        "number of items, returning all items can take a long time and consume a large amount of memory. Also, we "
        "don't recommend storing the results in a variable. Instead, pipe the results to another task or script to "
        "perform batch changes.",
        "Standaard worden alleen de eerste 1000 items geretourneerd. Geef met de parameter ResultSize op hoeveel items "
        'moeten worden geretourneerd, of geef "-ResultSize Unlimited" op voor alle items.',
        "Standardmäßig werden nur die ersten 1000 Elemente zurückgegeben. Geben Sie mit dem Parameter ResultSize die "
        'Anzahl der Elemente an, oder "-ResultSize Unlimited" für alle Elemente.',
    ),
    "more-results": (
        "There are more results available than are currently displayed. To view them, increase the value for the "
        "ResultSize parameter.",
        "Er zijn meer resultaten beschikbaar dan nu worden weergegeven. Verhoog de waarde van de parameter ResultSize "
        "om ze weer te geven.",
        "Es sind mehr Ergebnisse verfügbar als derzeit angezeigt werden. Erhöhen Sie den Wert des Parameters "
        "ResultSize, um sie anzuzeigen.",
    ),
    "nothing-changed": (
        "The command completed successfully but no settings of '{identity}' have been modified.",
        "De opdracht is voltooid, maar er zijn geen instellingen van '{identity}' gewijzigd.",
        'Der Befehl wurde erfolgreich ausgeführt, es wurden jedoch keine Einstellungen von "{identity}" geändert.',
    ),
    "timed-out": (
        "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.",
        "De WS-Management-service kan de bewerking niet voltooien binnen de tijd die is opgegeven in OperationTimeout.",
        "Der WS-Management-Dienst kann den Vorgang nicht in der in OperationTimeout angegebenen Zeit abschließen.",
    ),
    "shell-gone": (
        "The request for the Windows Remote Shell with ShellId {shell} failed because the shell was not found on the "
        "server. Possible causes are: the specified ShellId is incorrect or the shell no longer exists on the server. "
        "Provide the correct ShellId or create a new shell and retry the operation.",
        "De aanvraag voor de Windows Remote Shell met ShellId {shell} is mislukt omdat de shell niet is gevonden op de "
        "server. Geef de juiste ShellId op of maak een nieuwe shell.",
        "Die Anforderung für die Windows-Remoteshell mit ShellId {shell} ist fehlgeschlagen, da die Shell auf dem "
        "Server nicht gefunden wurde. Geben Sie die richtige ShellId an, oder erstellen Sie eine neue Shell.",
    ),
    "too-many-shells": (
        "The WS-Management service cannot process the request. This user is allowed a maximum number of {limit} "
        "concurrent shells, which has been exceeded. Close existing shells or raise the quota for this user.",
        "De WS-Management-service kan de aanvraag niet verwerken. Deze gebruiker mag maximaal {limit} shells tegelijk "
        "gebruiken en dat aantal is overschreden. Sluit bestaande shells of verhoog het quotum voor deze gebruiker.",
        "Der WS-Management-Dienst kann die Anforderung nicht verarbeiten. Für diesen Benutzer sind höchstens {limit} "
        "gleichzeitige Shells zulässig. Schließen Sie vorhandene Shells, oder erhöhen Sie das Kontingent.",
    ),
    "too-many-commands": (
        "The WS-Management service cannot process the request. The load quota for the system has been exceeded. Send "
        "future requests at a slower rate or raise the system quota. The next request from this user will not be "
        "approved for at least {milliseconds} milliseconds.",
        "De WS-Management-service kan de aanvraag niet verwerken. Het belastingsquotum voor het systeem is "
        "overschreden. De volgende aanvraag van deze gebruiker wordt minstens {milliseconds} milliseconden lang niet "
        "goedgekeurd.",
        "Der WS-Management-Dienst kann die Anforderung nicht verarbeiten. Das Lastkontingent des Systems wurde "
        "überschritten. Die nächste Anforderung dieses Benutzers wird mindestens {milliseconds} Millisekunden lang "
        "nicht genehmigt.",
    ),
    "confirm": ("Confirm", "Bevestigen", "Bestätigung"),
    "confirm-action": (
        "Are you sure you want to perform this action?\n{action}",
        "Weet u zeker dat u deze bewerking wilt uitvoeren?\n{action}",
        "Möchten Sie diese Aktion wirklich ausführen?\n{action}",
    ),
    "removing": ('Removing "{name}".', '"{name}" wordt verwijderd.', '"{name}" wird entfernt.'),
    "wiping": (
        'Clearing all data of the mobile device "{name}".',
        'Alle gegevens van het mobiele apparaat "{name}" worden gewist.',
        'Alle Daten des mobilen Geräts "{name}" werden gelöscht.',
    ),
    "changing": ('Changing "{name}".', '"{name}" wordt gewijzigd.', '"{name}" wird geändert.'),
    "policy-in-use": (
        'The mailbox policy "{name}" is assigned to mailboxes. Do you want to remove it?',
        'Het postvakbeleid "{name}" is toegewezen aan postvakken. Wilt u het verwijderen?',
        'Die Postfachrichtlinie "{name}" ist Postfächern zugewiesen. Möchten Sie sie entfernen?',
    ),
    "yes": ("&Yes", "&Ja", "&Ja"),
    "yes-all": ("Yes to &All", "&Alles", "Ja, &alle"),
    "no": ("&No", "&Nee", "&Nein"),
    "no-all": ("No to A&ll", "N&iets", "Nein, k&eine"),
}  # fmt: skip
"""Every text by its key: English, Dutch, German."""


def say(key: str, fields: Mapping[str, object], language: str = "en") -> str:
    """A text with its fields, in a language of ``LANGUAGES``."""
    return TEXTS[key][LANGUAGES.index(language)].format_map(fields)

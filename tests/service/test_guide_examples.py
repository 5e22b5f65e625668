"""The examples of the guide's page about people and compliance, sent as they stand there."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import requests

from tests.service.conftest import Look
from tests.service.test_compliance import Reporter, reporter

__all__ = ["reporter"]
GUIDE = Path(__file__).parents[2] / "docs" / "administrators-guide.md"
ADDRESS = "https://gatepost.example.com"


def examples() -> Iterator[tuple[str, str, str]]:
    """Method, address and body of each call with curl in the section."""
    section = GUIDE.read_text("utf-8").partition("\n## People and compliance\n")[2].partition("\n## ")[0]
    for block in re.findall(r"^```\n(.*?)^```", section, re.DOTALL | re.MULTILINE):
        for words in block.split("curl ")[1:]:
            said = shlex.split(words.replace("\\\n", " "))
            method = said[said.index("-X") + 1] if "-X" in said else "POST"
            [address] = [word for word in said if word.startswith(ADDRESS)]
            yield method, address.removeprefix(ADDRESS), said[said.index("--data") + 1]


def test_the_examples_work_in_their_order(reporter: Reporter, look: Look) -> None:
    """Groups, people, a source and a report: each is answered with success, and what they tell is known then."""
    look("DELETE FROM sources")
    source = ""
    for method, path, body in examples():
        url = reporter.url + path.replace("SOURCE", source)
        answer = requests.request(method, url, json=json.loads(body), headers=reporter.headers, timeout=30)
        assert answer.ok, (path, answer.text)
        source = str(answer.json().get("id", source))
    assert look("SELECT display_name, language, managed FROM people") == [
        {"display_name": "Anna de Vries", "language": "nl", "managed": "compliant"}
    ]
    assert look("SELECT name, count(*) AS people FROM groups JOIN memberships USING (group_id) GROUP BY 1") == [
        {"name": "Staff", "people": 1}
    ]
    assert look("SELECT s.name, r.device_ids FROM sources s JOIN compliance_records r USING (source_id)") == [
        {"name": "Intune", "device_ids": ["applf9qzx1ab"]}
    ]

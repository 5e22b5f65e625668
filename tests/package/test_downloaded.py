"""From the console to a connector that works: the real file is downloaded, unzipped and sets itself up."""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatepost.service import administration
from tests.fixtures.package import Unpacked
from tests.fixtures.service import PASSWORD
from tests.fixtures.site import MakeSite, Service, Site
from tests.service.web.conftest import Visitor

pytestmark = pytest.mark.xdist_group("package")
PAGE = "/administration/exchange/setup"
SECONDS = 90


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    """A site without a connector."""
    return make_site(devices=20)


@pytest.fixture
def console(site: Site, connector_file: Path, tmp_path: Path) -> Iterator[Visitor]:
    """The tenant's administrator on a service that has the real file to offer, in its usual folder."""
    offered = tmp_path / "replica" / "service" / "packages"
    offered.mkdir(parents=True)
    for path in (connector_file, connector_file.with_suffix(".json")):
        shutil.copy(path, offered)
    [row] = site.query("SELECT slug FROM tenants WHERE tenant_id = %s")
    administration.create_administrator(site.urls.operator, row["slug"], "anna", PASSWORD, ["administrator"])
    service = Service(site.urls, tmp_path / "replica").start()
    visitor = Visitor(service.url)
    assert visitor.post(f"/t/{row['slug']}/", {"name": "anna", "password": PASSWORD}).status_code == 303
    yield visitor
    service.stop()


def unzipped(console: Visitor, connector_file: Path, folder: Path) -> Path:
    """The set-up package as an administrator gets it."""
    platform = json.loads(connector_file.with_suffix(".json").read_text())["platform"]
    form = {"organization": "new", "name": "Contoso", "platform": platform, "form_token": console.token()}
    assert console.post(f"{PAGE}/authority", {"authority": "exchange", **form}).status_code == 303
    answer = console.post(f"{PAGE}/package", form)
    assert answer.status_code == 200, answer.text
    folder.mkdir()
    (folder.parent / "setup.zip").write_bytes(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(folder)
    return folder


def test_the_downloaded_connector_sets_itself_up(
    console: Visitor, site: Site, connector_file: Path, unpacked: Unpacked, tmp_path: Path
) -> None:
    """Without an environment: a changed file is named first, then the package enrols, and its ticket is gone."""
    folder = unzipped(console, connector_file, tmp_path / "setup")
    shown = console.get(PAGE).text.partition('aria-labelledby="key-heading">')[2].partition("</code>")[0]
    (folder / "password").write_text(site.lab.password)
    answers = {
        "server": site.lab.https_url,
        "exchange_ca_file": str(site.lab.ca_file),
        "auth": "basic",
        "exchange_user": site.lab.user,
        "exchange_password_file": "password",
        "mode": "observe",
        "scope": ["*"],
        "service_fingerprint": shown,
    }
    (folder / "answers.toml").write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in answers.items()))
    command = [str(Path(sys.executable).resolve()), "-I", "gatepost-connector.pyz", "connector", "setup"]
    command += ["--config", "connector.toml", "--answers", "answers.toml"]
    environment = {"GATEPOST_HOME": str(unpacked.home), "PATH": os.defpath}

    def set_up() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )

    (folder / "README.txt").rename(folder / "readme")
    refused = set_up()
    assert refused.returncode == 2
    assert "README.txt was renamed: it is there as readme." in " ".join(refused.stderr.split())
    assert (folder / "ticket").exists()
    (folder / "readme").rename(folder / "README.txt")
    done = set_up()
    assert done.returncode in {0, 3}, done.stdout + done.stderr
    assert not (folder / "ticket").exists()
    [organization] = site.query(
        "SELECT name, state, epoch FROM organizations WHERE tenant_id = %s AND name = 'Contoso'"
    )
    assert (organization["state"], organization["epoch"]) == ("connected", 1)

"""The stage of the story: one service on an empty folder, one Exchange, one proxy, one browser, and hosts as needed."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fixtures.browser import OpenPage
from tests.fixtures.lab import MakeLab
from tests.fixtures.package import Unpacked
from tests.fixtures.relays import ExchangeRelay, ServiceRelay
from tests.fixtures.squid import Squid
from tests.story.actors import Exchange, Host, Operator, front_of
from tests.story.console import Console

DEVICES = 60


@dataclass
class Stage:
    """Who is there."""

    folder: Path
    operator: Operator
    front: ServiceRelay
    exchange: Exchange
    console: Console
    proxy: Squid
    home: Path
    stack: ExitStack
    hosts: list[Host] = field(default_factory=list)

    def host(self, name: str) -> Host:
        """Another machine near Exchange, with nothing of ours on it."""
        folder = self.folder / name
        folder.mkdir()
        relay = self.stack.enter_context(ExchangeRelay(self.exchange.lab))
        made = Host(name, folder, self.home, relay, self.exchange.lab, self.proxy)
        self.stack.callback(made.kill)
        self.hosts.append(made)
        return made

    def logs(self) -> str:
        """What everybody said."""
        return "\n".join([*(each.log() for each in self.hosts), self.operator.log()])


@pytest.fixture
def stage(
    connector_file: Path,
    unpacked: Unpacked,
    make_lab: MakeLab,
    open_page: OpenPage,
    basic_proxy: Squid,
    tmp_path: Path,
) -> Iterator[Stage]:
    """The stage before the first word. ``GATEPOST_PICTURES`` names a folder for pictures of the pages, if any."""
    pictures = os.environ.get("GATEPOST_PICTURES")
    with ExitStack() as stack:
        operator = stack.enter_context(Operator(connector_file))
        front = stack.enter_context(front_of(operator))
        exchange = Exchange(make_lab(devices=DEVICES))
        page = open_page(accept_downloads=True)
        console = Console(page, front.url, tmp_path, Path(pictures) if pictures else None)
        made = Stage(tmp_path, operator, front, exchange, console, basic_proxy, unpacked.home, stack)
        console.logs = made.logs
        yield made

"""The composition root: the web application, and the process that serves it with its database, wake-ups and jobs."""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from gatepost import __version__, systemd
from gatepost.errors import ServiceError
from gatepost.service import administration, auditing, backup, following, jobs, restored, roles, sealing, tls, watchdog
from gatepost.service import log as service_log
from gatepost.service.alerts import job as alerts
from gatepost.service.alerts.outbox import Ways
from gatepost.service.database import Database, passwords_of
from gatepost.service.keys import Keys
from gatepost.service.packages import Packages
from gatepost.service.policies.worker import Worker
from gatepost.service.vault import Vault
from gatepost.service.wake import Waker
from gatepost.service.web import api, connector, console, health, permissions, problems, static_files
from gatepost.service.web.answers import SignedAnswers
from gatepost.service.web.limits import BodyLimit
from gatepost.service.web.sessions import SecurityHeaders
from gatepost.settings import ServiceSettings

GRACE_SECONDS = 4
BACKLOG = 2_048
ROUTERS = (connector.router, health.router, static_files.router, api.router, console.router)
__all__ = ["Server", "administration", "auditing", "backup", "create_app", "listen", "run", "start_log"]
log = logging.getLogger("gatepost.service")


class Application(FastAPI):
    """The application with security headers on every answer, and a signature on those to connectors.

    Also on those that are made outside of middleware.
    """

    def build_middleware_stack(self) -> ASGIApp:
        """The finished stack, wrapped."""
        return SecurityHeaders(SignedAnswers(super().build_middleware_stack()))


def create_app(settings: ServiceSettings, database: Database) -> FastAPI:
    """The application of one process. Raises ServiceError if a route declares no permission, SettingsError."""

    @asynccontextmanager
    async def background(app: FastAPI) -> AsyncIterator[None]:
        work = (
            app.state.waker.run(),
            jobs.run(database),
            sealing.run(database, app.state.keys),
            following.run(database),
            watchdog.watch(database),
            alerts.run(database, app.state.keys, settings, app.state.ways),
        )
        tasks = [asyncio.create_task(each) for each in work]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)  # with the database away one may wait for a connection
            await app.state.worker.close()

    app = Application(title="Gatepost", version=__version__, lifespan=background, openapi_url=None)
    app.state.settings = settings
    app.state.database = database
    app.state.keys = Keys(Vault.open_file(settings.vault_file))
    app.state.packages = Packages(settings.packages_folder)
    app.state.ways = Ways.of(settings)
    app.state.waker = Waker(database.url)
    app.state.worker = Worker(database.url)
    app.state.stopping = asyncio.Event()
    app.add_middleware(BodyLimit)
    for router in ROUTERS:
        app.router.routes.extend(router.routes)  # flat, so that permissions.check sees every route
    problems.register(app)
    permissions.check(app)
    return app


def start_log(form: str | None, settings: ServiceSettings) -> None:
    """Begin to log, without the secrets that the settings name. Raises SettingsError, DatabaseError."""
    service_log.start(form, passwords_of(settings.database_url))


def stop_waiting(app: FastAPI) -> None:
    """Let held-open requests answer at once, so that the process can end."""
    app.state.stopping.set()
    app.state.waker.wake_all()


def listen(settings: ServiceSettings) -> socket.socket:
    """The socket of the service. Raises ServiceError where it cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ServiceError(
            f"The service could not listen on {settings.host} port {settings.port}: {error.strerror}.",
            "See whether another program does, or choose another port.",
        ) from error


def run(settings: ServiceSettings, ready: Callable[[str], None]) -> None:
    """The service as a process: with its own PostgreSQL where no database URL is set. Raises GatepostError."""

    async def main(url: str, listener: socket.socket) -> None:
        async with await Database.open(url) as database:
            await roles.check_app(database)
            await database.check()
            await restored.refuse_unfinished(database)
            app = create_app(settings, database)
            await app.state.keys.check(database)
            await Server(app, settings, ready).serve([listener])

    tls.check(settings.tls_certificate, settings.tls_key)
    Ways.of(settings)  # what cannot work is told before a database is started
    with listen(settings) as listener, administration.for_service(settings) as url:
        asyncio.run(main(url, listener))


class Server(uvicorn.Server):
    """uvicorn, which tells when it is ready and ends held-open requests when it is asked to stop."""

    def __init__(self, app: FastAPI, settings: ServiceSettings, ready: Callable[[str], None]) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=settings.public_url is not None,
            forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_graceful_shutdown=GRACE_SECONDS,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
        )
        super().__init__(config)
        self._app = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, then tell the address."""
        await super().startup(sockets)
        if self.started and sockets:
            scheme = "https" if self.config.is_ssl else "http"
            host, port = sockets[0].getsockname()[:2]
            systemd.notify(systemd.READY)
            self._ready(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}")

    def stop(self) -> None:
        """End in order; from the loop's own thread."""
        systemd.notify(systemd.STOPPING)
        stop_waiting(self._app)
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the service in order, and our own clean-up after it still runs."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Asked to stop: those who wait are answered now."""
        asyncio.get_running_loop().call_soon_threadsafe(self.stop)
        super().handle_exit(sig, frame)

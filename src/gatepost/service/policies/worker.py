"""The worker: a process beside the service that computes previews, so that the event loop never waits for one.

``Worker`` starts it at the first question, asks one thing at a time, and starts another where it died. A question and
its answer are a line of JSON each, over the process's standard input and output; the database's address goes the same
way, for it holds a password. The process ends when its input does, so none outlives its service.
"""

import asyncio
import contextlib
import json
import logging
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from gatepost.errors import DatabaseError, GatepostError, Problem, ServiceError
from gatepost.service.database import Database
from gatepost.service.policies.preview import Wanted, Worked, total, work_out
from gatepost.service.policies.rings import Ring
from gatepost.service.policies.who import PAGE, Filter, Page, page

MODULE = "gatepost.service.policies.worker"
LONGEST_LINE = 64 * 1024 * 1024
LONGEST_SECONDS = 120.0
REMEMBERED = 2
CONNECTIONS = 1
MOST_OF_A_TENANT = 4
log = logging.getLogger("gatepost.service")


class Worker:
    """The worker of one service process, as seen from its event loop."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._asking: Counter[UUID] = Counter()

    async def preview(self, tenant_id: UUID, wanted: Wanted) -> dict[str, Any]:
        """What a policy would do, as JSON values (``preview.Preview.document``). Raises Problem, GatepostError."""
        return await self._ask("preview", tenant_id, wanted)

    async def who(self, tenant_id: UUID, wanted: Wanted, chosen: Filter, cursor: str = "", limit: int = PAGE) -> Page:
        """A page of the devices behind it. Raises Problem, GatepostError."""
        told = await self._ask("who", tenant_id, wanted, filter=asdict(chosen), cursor=cursor, limit=limit)
        return Page(told["rows"], told["next"])

    async def close(self) -> None:
        """End the process."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None

    async def _ask(self, what: str, tenant_id: UUID, wanted: Wanted, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        question = {"what": what, "tenant": str(tenant_id), "wanted": _told(wanted), **more}
        with self._one_of_few(tenant_id):
            answer = await self._in_turn(question)
        return _result(answer)

    @contextlib.contextmanager
    def _one_of_few(self, tenant_id: UUID) -> Iterator[None]:
        """So many questions of a tenant may wait: others come in between, whoever asks how much. Raises Problem 503."""
        if self._asking[tenant_id] >= MOST_OF_A_TENANT:
            raise Problem(503, "busy", "Several previews are being computed already. Try again.", retry_after=5)
        self._asking[tenant_id] += 1
        try:
            yield
        finally:
            self._asking[tenant_id] -= 1
            self._asking += Counter()  # drops those of whom nothing waits

    async def _in_turn(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer, when it is this question's turn. Raises Problem 503 where it takes too long."""
        async with self._turn:
            try:
                async with asyncio.timeout(LONGEST_SECONDS):
                    answer = await self._answer(question)
            except TimeoutError as error:
                await self.close()
                raise Problem(503, "busy", "The preview takes too long. Try again when there is less to do.") from error
            except BaseException:
                await self.close()  # an answer that nobody waits for would be taken for the next one's
                raise
        return answer

    async def _answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer; asked once more where the process died over it, for a question changes nothing."""
        answer = await self._exchange(question)
        if answer is None:
            await self.close()
            answer = await self._exchange(question)
        if answer is None:
            raise ServiceError(
                "The process that computes previews ended unexpectedly.", "Try again; see the service's log."
            )
        return answer

    async def _exchange(self, question: Mapping[str, Any]) -> dict[str, Any] | None:
        """Ask and listen; None where the process is dead."""
        process = await self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            await process.stdin.drain()
            line = await process.stdout.readline()
        except ConnectionError:
            return None
        answer: dict[str, Any] | None = json.loads(line) if line.endswith(b"\n") else None
        return answer

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is not None and self._process.returncode is None:
            return self._process
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", MODULE, stdin=pipe, stdout=pipe, limit=LONGEST_LINE
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"url": self._url}).encode() + b"\n")
        return self._process


class Answering:
    """The other side: answers questions, and remembers what it worked out last, for the pages that follow.

    It also remembers the tenants where earlier decisions counted, to ask for those at once.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, Worked] = {}
        self._doubtful: set[str] = set()

    async def answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one question; what went wrong is told, not raised."""
        try:
            return {"result": await self._work(question)}
        except Problem as problem:
            told = {"status": problem.status, "type": problem.type, "detail": problem.detail, "fields": problem.fields}
            return {"problem": told}
        except DatabaseError as error:
            return {"database": [error.cause, error.remedy]}
        except GatepostError as error:
            return {"error": str(error)}
        except Exception:  # a question that goes wrong must not end the process, and what others asked with it
            log.exception("a preview failed")
            return {"error": "The preview failed."}

    async def _work(self, question: Mapping[str, Any]) -> dict[str, Any]:
        wanted = _read(question["wanted"])
        async with self._database.tenant(UUID(question["tenant"])) as scope:
            key = json.dumps([question["tenant"], question["wanted"]], sort_keys=True)
            worked = self._known.get(key)
            if worked is None:
                worked = await work_out(scope, wanted, doubtful=question["tenant"] in self._doubtful)
                self._remember(key, worked)
                if worked.asked["with_previous"]:
                    self._doubtful.add(question["tenant"])
            else:
                await scope.one("preview.room")
            if question["what"] == "preview":
                return (await total(scope, worked)).document()
            chosen = Filter(**question["filter"])
            return asdict(await page(scope, worked, chosen, question["cursor"], question["limit"]))

    def _remember(self, key: str, worked: Worked) -> None:
        while len(self._known) >= REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[key] = worked


async def serve() -> None:
    """Answer the questions on standard input until it ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    first = await reader.readline()
    if not first:
        return
    async with await Database.open(json.loads(first)["url"], size=CONNECTIONS) as database:
        answering = Answering(database)
        while line := await reader.readline():
            answer = await answering.answer(json.loads(line))
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


def _told(wanted: Wanted) -> dict[str, Any]:
    """What is wanted, as JSON values."""
    return {
        "document": dict(wanted.document),
        "organization": str(wanted.organization_id) if wanted.organization_id else None,
        "ring": wanted.ring.value,
        "pilot": str(wanted.pilot) if wanted.pilot else None,
        "now": wanted.now.isoformat(),
    }


def _read(told: Mapping[str, Any]) -> Wanted:
    organization, pilot = told["organization"], told["pilot"]
    return Wanted(
        document=told["document"],
        organization_id=UUID(organization) if organization else None,
        ring=Ring(told["ring"]),
        pilot=UUID(pilot) if pilot else None,
        now=datetime.fromisoformat(told["now"]),
    )


def _result(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The result. Raises what went wrong there."""
    if "problem" in answer:
        told = answer["problem"]
        raise Problem(told["status"], told["type"], told["detail"], **told["fields"])
    if "database" in answer:
        raise DatabaseError(*answer["database"])
    if "error" in answer:
        raise ServiceError(answer["error"], "Try again; see the service's log.")
    result: dict[str, Any] = answer["result"]
    return result


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the service ends this one itself
    asyncio.run(serve())

"""The style sheet and scripts: read once from a fixed list of files, served under an address that holds their hash.

A changed file has a new address, so browsers may keep each for a year; nothing a request says becomes a path.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

from gatepost.errors import Problem
from gatepost.service.web.permissions import public

FOLDER = Path(__file__).parent / "static"
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is served."""

    url: str
    content: bytes
    media_type: str


def _load() -> dict[str, StaticFile]:
    files = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in TYPES:
            content = path.read_bytes()
            version = hashlib.sha256(content).hexdigest()[:16]
            files[path.name] = StaticFile(f"/static/{version}/{path.name}", content, TYPES[path.suffix])
    return files


FILES = _load()
_BY_URL = {file.url: file for file in FILES.values()}


def url(name: str) -> str:
    """The address of a file by its name; KeyError for a name that is not there, which a template must not use."""
    return FILES[name].url


@router.get("/static/{version}/{name}", dependencies=[public("style sheet and scripts hold nothing of a tenant")])
async def static_file(version: str, name: str) -> Response:
    """One file of the list."""
    file = _BY_URL.get(f"/static/{version}/{name}")
    if file is None:
        raise Problem(404, "not-found", "There is no such file.")
    return Response(
        file.content, media_type=file.media_type, headers={"Cache-Control": "public, max-age=31536000, immutable"}
    )

"""The style sheets and scripts of the pages, compressed once and kept by browsers until their content changes."""

import gzip
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from api.http.pages import STATIC
from shared.settings import get_settings

FOLDER = Path(__file__).parent / "static"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FOREVER = "public, max-age=31536000, immutable"
router = APIRouter(include_in_schema=False)


class StaticFile(NamedTuple):
    content: bytes
    compressed: bytes
    media_type: str
    digest: str


@cache
def files() -> dict[str, StaticFile]:
    """Return all files by their path below `static/`. Nothing else can be asked for."""
    found = {}
    for path in FOLDER.rglob("*"):
        if path.suffix in TYPES:
            content = path.read_bytes()
            digest = sha256(content).hexdigest()[:16]
            compressed = gzip.compress(content, mtime=0)
            found[path.relative_to(FOLDER).as_posix()] = StaticFile(content, compressed, TYPES[path.suffix], digest)
    return found


def address(name: str) -> str:
    """Return the path of a file, which changes with its content."""
    return f"{get_settings().root_path}{STATIC}/{name}?v={files()[name].digest}"


def accepts_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


@router.get(STATIC + "/{name:path}")
def static_file(request: Request, name: str) -> Response:
    """Answer with a file. One that is asked for by its digest may be kept for good."""
    file = files().get(name)
    if file is None:
        raise HTTPException(404)
    headers = {"etag": f'"{file.digest}"', "vary": "accept-encoding"}
    headers["cache-control"] = FOREVER if request.query_params.get("v") == file.digest else "no-cache"
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    if not accepts_gzip(request):
        return Response(file.content, media_type=file.media_type, headers=headers)
    return Response(file.compressed, media_type=file.media_type, headers={**headers, "content-encoding": "gzip"})

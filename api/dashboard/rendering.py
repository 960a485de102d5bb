"""Templates, and the answers made of them: whole pages, parts of a page, and messages."""

import gzip
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from api.dashboard import addresses, charts, formats, static_files
from api.dashboard.navigation import entries
from api.dashboard.session import cookie
from api.dashboard.session.cookie import Session
from api.dashboard.snippets import api_url
from api.http.pages import DASHBOARD
from shared.settings import get_settings
from shared.version import VERSION

POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "vary": "accept-encoding, hx-request",
}
COMPRESSED_FROM = 1_000  # bytes
environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
environment.filters |= formats.FILTERS | addresses.FILTERS | {"sparkline": charts.sparkline}
environment.globals |= {"static": static_files.address, "version": VERSION}


def render(request: Request, template: str, **values: Any) -> str:
    """Render a template with what every one may use; CONTRIBUTING.md lists it."""
    root = get_settings().root_path
    path = request.url.path.removeprefix(root)
    session: Session | None = request.scope.get(cookie.SCOPE)
    known = {
        "dashboard": root + DASHBOARD,
        "api_url": api_url(request),
        "path": path,
        "query": request.query_params,
        "navigation": entries(root, path),
        "project": None,
        "is_admin": session is not None and session.is_admin,
        "has_project": session is not None and session.has_project,
    }
    return environment.get_template(template).render(**{**known, **values})


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """Answer with a template, compressed where the browser can read that."""
    return _answer(request, render(request, template, **values), "text/html", status)


def data(request: Request, json: str) -> Response:
    """Answer with JSON for a script of a page."""
    return _answer(request, json, "application/json", 200)


def _answer(request: Request, text: str, media_type: str, status: int) -> Response:
    content, headers = text.encode(), dict(HEADERS)
    if len(content) >= COMPRESSED_FROM and static_files.accepts_gzip(request):
        content, headers["content-encoding"] = gzip.compress(content, 5), "gzip"
    return Response(content, status_code=status, headers=headers, media_type=media_type)

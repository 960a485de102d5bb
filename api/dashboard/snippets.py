"""What a page shows and does, as a call of the API to copy: by curl and by OpenAI's SDK. The key is never in it."""

import json
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from shared.settings import get_settings

ADMIN_KEY = "OPENAI_ADMIN_KEY"


def api_url(request: Request) -> str:
    """Return the base URL that clients use, as this browser reaches the server."""
    return f"{request.url.scheme}://{request.url.netloc}{get_settings().root_path}/v1"


def calls(
    request: Request, method: str, path: str, python: str, *, body: Any = None, key: str = "OPENAI_API_KEY"
) -> dict[str, str]:
    """Return a call as curl and as Python. `path` begins after `/v1`, `python` uses `client`."""
    return {"curl": _curl(request, method, path, body, key), "Python": _python(request, python, key)}


def _curl(request: Request, method: str, path: str, body: Any, key: str) -> str:
    parts = [f"curl {_quoted(api_url(request) + path)}", f'-H "Authorization: Bearer ${key}"']
    if method != "GET":
        parts[0] = f"curl -X {method} {_quoted(api_url(request) + path)}"
    if body is not None:
        parts += ['-H "Content-Type: application/json"', f"-d {_quoted(json.dumps(body, ensure_ascii=False))}"]
    return " \\\n  ".join(parts)


def _quoted(text: str) -> str:
    """Quote for a shell, whatever is inside."""
    return "'" + text.replace("'", "'\\''") + "'"


def _python(request: Request, python: str, key: str) -> str:
    reads = "OPENAI_API_KEY: an admin key" if key == ADMIN_KEY else "OPENAI_API_KEY"
    opening = f'from openai import OpenAI\n\nclient = OpenAI(base_url="{api_url(request)}")  # reads {reads}'
    return f"{opening}\n{python}"


def query_string(values: dict[str, str]) -> str:
    """Write parameters of a query; brackets stay, as the API's reference has them."""
    return urlencode(values, safe="[]")

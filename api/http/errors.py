"""Turns every error into OpenAI's envelope, `{"error": {"message", "type", "param", "code"}}`, with its HTTP status."""

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import DataError, OperationalError, ProgrammingError, TimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path
from structlog import get_logger

from api.http import unknown_keys
from shared.database import NOT_MIGRATED, lacks_migrations
from shared.errors import RateLimited, ServiceError
from shared.metrics.instruments import REFUSALS

log = get_logger(__name__)


class ErrorDetail(BaseModel):
    """`message` explains what was wrong and what to do; `code` is stable; `param` names the field or parameter."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorEnvelope(BaseModel):
    error: ErrorDetail


def envelope(
    status: int, message: str, code: str, *, type: str = "invalid_request_error", param: str | None = None
) -> JSONResponse:
    """Build an error response. The SDKs would retry a 409, 429 or 501, so these tell them not to."""
    REFUSALS.labels(code).inc()
    error = {"message": message, "type": type, "param": param, "code": code}
    headers = {"x-should-retry": "false"} if status in {409, 429, 501} else None
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def service_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    answer = envelope(error.status, error.message, error.code, type=error.type, param=error.param)
    if error.retryable:
        answer.headers["x-should-retry"] = "true"
    if isinstance(error, RateLimited) and error.retry_after is not None:
        answer.headers["retry-after"] = str(error.retry_after)
    return answer


_CODES = {"missing": "missing_required_parameter"}
_OTHER_TYPES = {"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}  # the rest is not repeated
_CURL = "-H 'Content-Type: application/json'"
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_BASES = re.compile("^(?:/v1)+(?=/)")
_NO_OBJECT = {"model_attributes_type", "model_type", "dict_type"}
_JSON_TYPES = {list: "a list", str: "a string", int: "a number", float: "a number", bool: "true or false"}
_NOT_PARSED = "There was an error parsing the body"  # FastAPI's own words for JSON whose bytes it cannot read
_KINDS = {"int", "float", "str", "bool", "dict", "list", "function"}


def validation_error(request: Request, error: Exception) -> JSONResponse:
    """Answer FastAPI's validation errors with 400. The input is never repeated: it may contain a secret."""
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    if problems[0]["type"] == "json_invalid":
        return envelope(400, f"The body is not JSON: {problems[0]['ctx']['error']}", "invalid_json")
    if not_json := _other_content_type(request, problems[0]):
        return envelope(400, not_json, "invalid_content_type", param="Content-Type")
    # First, as a misspelt key is also the reason why the right one is missing.
    if unknown := [each["loc"] for each in problems if each["type"] == "extra_forbidden"]:
        return _unknown_keys(request, unknown)
    if is_no_object := _no_object(problems[0]):
        return envelope(400, is_no_object, _CODES.get(problems[0]["type"], "invalid_value"))
    param = _param(problems[0]["loc"])
    texts = [each["msg"].removeprefix("Value error, ") for each in problems if _param(each["loc"]) == param]
    reasons = list(dict.fromkeys(texts))
    message = f"{param}: {' or '.join(reasons)}" if param else f"The body: {' or '.join(reasons)}"
    return envelope(400, message, _CODES.get(problems[0]["type"], "invalid_value"), param=param)


def _other_content_type(request: Request, problem: Mapping[str, Any]) -> str | None:
    """Explain a body that was not read as JSON because of its content type; None if that is not the problem."""
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = sent == "application/json" or (sent.startswith("application/") and sent.endswith("+json"))
    if is_json or tuple(problem["loc"]) != ("body",) or problem["type"] == "missing":
        return None
    how = f"as {sent}" if sent in _OTHER_TYPES else "with another content type" if sent else "without a content type"
    return f"The body was sent {how}: send JSON, with the header Content-Type: application/json (curl: {_CURL})"


def _no_object(problem: Mapping[str, Any]) -> str | None:
    """Explain a body that is empty, or JSON but no object, as each body of ours is; None if that is not the problem."""
    if tuple(problem["loc"]) != ("body",):
        return None
    if problem["type"] == "missing":
        return "The body is empty: send a JSON object"
    found = _JSON_TYPES.get(type(problem["input"])) if problem["type"] in _NO_OBJECT else None
    return f"The body must be a JSON object, and this is {found}" if found else None


def _unknown_keys(request: Request, locations: Sequence[Sequence[Any]]) -> JSONResponse:
    """Name every unknown key of a body, with the nearest known one of the same object."""
    body = request.scope["route"].body_field
    by_object: dict[tuple[Any, ...], list[str]] = {}
    for each in locations:
        by_object.setdefault(tuple(each[1:-1]), []).append(str(each[-1]))
    sentences = []
    for parent, names in islice(by_object.items(), unknown_keys.MAX_NAMED):
        annotation = body.field_info.annotation if body else None
        known, deeper = unknown_keys.keys_at(annotation, parent), unknown_keys.paths_below(annotation, parent)
        inside = _param(("body", *parent))
        sentences.append(unknown_keys.sentence("parameter", names, known, deeper=deeper, inside=inside))
    inside, name = _param(locations[0][:-1]), unknown_keys.shown(str(locations[0][-1]))
    param = ".".join(each for each in (inside, name) if each)
    return envelope(400, ". ".join(sentences), unknown_keys.CODE, param=param or None)


def _param(location: Sequence[Any]) -> str | None:
    """`("body", "method", "dpo", "constrained-int")` → `method.dpo`: field names and indexes, without type names."""
    if location[0] in {"header", "query"}:
        return str(location[1])
    names = [
        str(item) for item in location[1:] if isinstance(item, int) or (_FIELD.fullmatch(item) and item not in _KINDS)
    ]
    return ".".join(names) or None


def http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    match error.status_code:
        case 404:
            sentence = f"Unknown request URL: {request.method} {request.url.path}{_right_base(request)}"
            return envelope(404, sentence, "unknown_url")
        case 405:
            answer = envelope(405, f"{request.method} is not allowed for {request.url.path}", "method_not_allowed")
            answer.headers.update(error.headers or {})
            answer.headers["allow"] = _allowed(request) or answer.headers["allow"]
            return answer
        case 413:
            return too_large(str(error.detail))
        case 400 if error.detail == _NOT_PARSED:
            return envelope(400, _unreadable(request), "invalid_json")
        case status:
            return envelope(status, str(error.detail), getattr(error, "code", "invalid_request"))


def _unreadable(request: Request) -> str:
    if request.headers.get("content-encoding", "identity") != "identity":
        return "The body is compressed (the header Content-Encoding): send the JSON as it is"
    return "The body is not JSON in UTF-8: send it in this encoding"


def _right_base(request: Request) -> str:
    """A hint if the address is one of ours but for the `/v1` of the base URL, which is missing or there twice."""
    below = _BASES.sub("", request.url.path)
    base = "must end in /v1" + " once" * (below != request.url.path)
    segment = below.split("/")[1]
    is_ours = segment and any(path.startswith(f"/v1/{segment}") for path in request.app.openapi()["paths"])
    right = f"/v1{below}"
    return f". Did you mean {right}? The base URL {base}" if is_ours and right != request.url.path else ""


def _allowed(request: Request) -> str:
    """List every documented method of the path; the router's own `Allow` names only the first matching route's."""
    for path, operations in request.app.openapi()["paths"].items():
        if compile_path(path)[0].match(request.url.path):
            methods = {method.upper() for method in operations}
            return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
    return ""


def too_large(message: str) -> JSONResponse:
    return envelope(413, message, "request_too_large")


def unstorable(_: Request, __: Exception) -> JSONResponse:
    """Text that Postgres or UTF-8 refuses and that `body_guard` did not see, such as a field of a form."""
    sentence = "The request contains a NUL or half of a surrogate pair: such text cannot be stored"
    return envelope(400, sentence, "invalid_text")


def postgres_down(_: Request, error: Exception) -> JSONResponse:
    log.error("Postgres cannot be reached", reason=str(getattr(error, "orig", error)))
    answer = envelope(
        503, "The service cannot reach its database; try again", "database_unavailable", type="server_error"
    )
    answer.headers["retry-after"] = "2"
    return answer


def not_migrated(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProgrammingError)
    if not lacks_migrations(error):
        raise error
    return postgres_down(request, Exception(NOT_MIGRATED))


def storage_down(_: Request, error: Exception) -> JSONResponse:
    log.error("storage cannot be reached", reason=str(error))
    return envelope(503, "The service cannot reach its storage; try again", "storage_unavailable", type="server_error")


def register(app: FastAPI) -> None:
    # Starlette picks the handler of the nearest base class, so the order does not matter.
    app.add_exception_handler(ServiceError, service_error)
    app.add_exception_handler(RequestValidationError, validation_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(DataError, unstorable)
    app.add_exception_handler(UnicodeEncodeError, unstorable)
    app.add_exception_handler(OperationalError, postgres_down)
    app.add_exception_handler(TimeoutError, postgres_down)
    app.add_exception_handler(ProgrammingError, not_migrated)
    app.add_exception_handler(OSError, storage_down)

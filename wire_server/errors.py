"""Turns every error into OpenAI's envelope: `{"error": {"message", "type", "param", "code"}}`."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from wire_server.answers import answer

INVALID = "invalid_request_error"
CODES = {"missing": "missing_required_parameter", "extra_forbidden": "unknown_parameter"}
"""pydantic's name of an error to OpenAI's code; all others are `invalid_value`."""


class ApiError(Exception):
    """An error answer: the HTTP status and the four keys of OpenAI's envelope."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        type: str = INVALID,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        readable = message.encode("utf-8", "replace").decode()  # it may repeat half a surrogate pair of the caller's
        self.error = {"message": readable, "type": type, "param": param, "code": code}
        self.headers = dict(headers or {})

    def response(self) -> Response:
        return answer({"error": self.error}, self.status, self.headers)


def handle_errors(app: FastAPI) -> None:
    """Answer every error of ours, of FastAPI's and of Starlette's in the envelope."""
    app.add_exception_handler(ApiError, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse_invalid)
    app.add_exception_handler(HTTPException, _refuse_http)
    app.add_exception_handler(UnicodeEncodeError, _refuse_text)
    app.add_exception_handler(ClientDisconnect, _refuse_unfinished_body)
    app.add_exception_handler(Exception, _answer_server_error)


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def _refuse_text(_: Request, __: Exception) -> Response:
    return ApiError(400, "The request has text that is not valid Unicode.", code="invalid_value").response()


async def _refuse_unfinished_body(_: Request, __: Exception) -> Response:
    return ApiError(400, "The connection was closed before the body had ended.").response()


async def _refuse_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return from_validation(error.errors()).response()


async def _refuse_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return ApiError(404, f"Invalid URL ({request.method} {request.url.path})").response()
    if error.status_code == 405:
        message = f"Not allowed to {request.method} on {request.url.path}."
        return ApiError(405, message, headers=error.headers).response()
    return ApiError(error.status_code, str(error.detail), headers=error.headers).response()


async def _answer_server_error(_: Request, __: Exception) -> Response:
    return ApiError(500, "The server had an error of its own; its log says more.", type="server_error").response()


def from_validation(errors: Sequence[Mapping[str, Any]]) -> ApiError:
    """The first thing pydantic found, as the 400 that OpenAI answers; the value itself is not repeated."""
    first = errors[0]
    kind = str(first["type"])
    if kind == "json_invalid":
        return ApiError(400, "The body of the request is not valid JSON.")
    param = ".".join(str(part) for part in first["loc"][1:] if part != "[key]") or None
    code, reason = CODES.get(kind, "invalid_value"), str(first["msg"]).removeprefix("Value error, ")
    if kind == "missing":
        return ApiError(400, f"Missing required parameter: '{param or 'body'}'.", code=code, param=param)
    if kind == "extra_forbidden":
        return ApiError(400, f"Unknown parameter: '{param}'.", code=code, param=param)
    return ApiError(400, f"Invalid value for '{param or 'body'}': {reason}.", code=code, param=param)

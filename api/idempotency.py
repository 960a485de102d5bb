"""`Idempotency-Key`: a POST repeated with the same key gets the stored answer and is not carried out again.

OpenAI's SDKs send no key, but `x-stainless-retry-count`: what they repeat is recognised by API key, URL and body.

The answer is stored in the transaction of the work. A route whose work is one transaction needs no code of its own; an
`async` route calls `begin` and `keep`, or `recall` and `remember`, in its transaction.
"""

import json
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from hashlib import sha256
from inspect import iscoroutinefunction
from typing import Annotated, Any, ClassVar, TypeVar

from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from sqlalchemy import event
from sqlmodel import Session

from api.auth.deps import AdminDep, CallerDep
from shared import idempotency as answers
from shared.errors import Invalid
from shared.idempotency import StoredAnswer
from shared.json_fields import Pattern
from shared.projects import service as projects
from shared.security.secrets import seal, unseal

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
RETRY_COUNT = "x-stainless-retry-count"

# Administrative POST routes that are allowed for an archived project, and why.
ALLOWED_WHEN_ARCHIVED = {
    "archive_project": "archiving it again changes nothing",
    "create_adjustment": "the provider's bill comes after the month has ended",
}

_Key = Annotated[
    Annotated[str, Pattern("[ -~]+", "Use only printable ASCII characters")] | None,
    Header(
        alias=HEADER,
        min_length=1,
        max_length=255,
        description="If the request is repeated with the same key within a day, it is not carried out again; the "
        f"first answer is returned, with the header `{REPLAYED}: true`. Errors are not stored: they change nothing.",
    ),
]


@dataclass
class _KeyedRequest:
    """A request with a key, or with a `retry_count`. `session` is that of its work, until its answer is stored."""

    owner: str
    project_id: str | None  # None for an admin key
    id: str  # without a key, it follows from what is sent
    method_and_url: str
    retry_count: int | None = None
    content: tuple[object, ...] = ()
    session: Session | None = None
    is_replay: bool = False

    def request_sha256(self) -> str:
        request = json.dumps([self.method_and_url, *self.content], sort_keys=True)
        return sha256(request.encode()).hexdigest()

    def find(self, session: Session, content: tuple[object, ...]) -> StoredAnswer | None:
        self.content = content or self.content
        if self.retry_count is not None:
            self.id = answers.repeated_answer_id(self.owner, self.request_sha256())
            answer = answers.find_repeated_or_reserve(session, self.id, self.request_sha256(), self.retry_count)
        else:
            answer = answers.find_or_reserve_within_quota(session, self.id, self.project_id, projects.max_kept_answers)
        if answer is None:
            self.session = session
        elif answer.request_sha256 != self.request_sha256():
            sentence = f"This {HEADER} was used for a request with another body or URL: use a new key"
            raise Invalid(sentence, code="idempotency_key_reused", param=HEADER)
        else:
            self.is_replay = True
        return answer

    def store(self, status: int, content_type: str, body: str) -> None:
        """Store the answer in the transaction of the work, unless that has been done."""
        if self.session is None:
            return
        answer = StoredAnswer(
            id=self.id,
            request_sha256=self.request_sha256(),
            status=status,
            content_type=content_type,
            sealed_body=seal(body, self.id),
        )
        with self.session.no_autoflush:  # the audit entries lock their chain until the commit, so they come last
            (answers.store if self.retry_count is None else answers.replace)(self.session, answer)
        self.session = None


_keyed: ContextVar[_KeyedRequest | None] = ContextVar("keyed", default=None)
Answer = TypeVar("Answer", bound=BaseModel)


class Replayed(Exception):
    """Ends a request that was carried out before; `response` is the stored answer."""

    def __init__(self, answer: StoredAnswer) -> None:
        body, headers = unseal(answer.sealed_body, answer.id), {"content-type": answer.content_type}
        self.response = Response(body, answer.status, headers)


def begin(session: Session, *content: object) -> None:
    """Reserve the request's key before the work, in the transaction of the work. Does nothing without a key.

    `content` identifies what was sent, besides method and URL. Raises `Replayed` with the stored answer, `Invalid` if
    the key was used for another request, and `KeyInUse` while another transaction works on it.
    """
    keyed = _keyed.get()
    if keyed and (answer := keyed.find(session, content)):
        raise Replayed(answer)


def keep(answer: Answer) -> Answer:
    """Store and return the answer, after the work and in the transaction given to `begin`."""
    if keyed := _keyed.get():
        keyed.store(200, "application/json", answer.model_dump_json(by_alias=True))
    return answer


def recall(session: Session, *content: object) -> str | None:
    """Like `begin`, for a route whose answer is known only after its transaction: return the text of `remember`."""
    answer = keyed.find(session, content) if (keyed := _keyed.get()) else None
    return unseal(answer.sealed_body, answer.id) if answer else None


def remember(text: str) -> None:
    """Store a text from which the answer can be found again, in the transaction given to `recall`."""
    if keyed := _keyed.get():
        keyed.store(200, "text/plain", text)


async def _note_project_key(request: Request, caller: CallerDep, key: _Key = None) -> None:
    _note(request, caller.project_id, caller.project_id, caller.key_id, key)


async def _note_admin_key(request: Request, admin: AdminDep, key: _Key = None) -> None:
    """Admin keys do not share answers: an answer may hold a secret, and another admin key may have fewer scopes."""
    _note(request, admin.key_id, None, admin.key_id, key)


def _note(request: Request, owner: str, project_id: str | None, caller_key_id: str, key: str | None) -> None:
    method_and_url = f"{request.method} {request.url.path}?{request.url.query}"
    retry_count = answers.read_retry_count(request.headers.get(RETRY_COUNT, ""))
    if key is not None:
        _keyed.set(_KeyedRequest(owner, project_id, answers.answer_id(owner, key), method_and_url))
    elif retry_count is not None:
        _keyed.set(_KeyedRequest(caller_key_id, project_id, "", method_and_url, retry_count))


async def _note_body(request: Request) -> None:
    """Note the parsed body: other spaces or another order of fields make no other request."""
    if keyed := _keyed.get():
        try:
            keyed.content = (await request.json(),)
        except (ValueError, RecursionError):  # a route without a body ignores what is sent
            keyed.content = (sha256(await request.body()).hexdigest(),)


def _with_begin(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Call `begin` in the endpoint's own thread: a dependency would hold the connection while it waits for a thread."""

    @wraps(endpoint)
    def begin_and_call(**values: Any) -> Any:
        begin(values["session"])
        return endpoint(**values)

    return begin_and_call


class IdempotentRoute(APIRoute):
    """A project's route. Its POST accepts a key.

    A plain endpoint only needs a parameter `session`. An `async` endpoint, which receives a file or waits for a worker
    without a transaction, calls `begin` and `keep` itself when it opens one.
    """

    note_key: ClassVar = Depends(_note_project_key)

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if "POST" in options["methods"]:
            options["dependencies"] = [*options["dependencies"], self.note_key]
            if not iscoroutinefunction(endpoint):
                options["dependencies"].append(Depends(_note_body))
                endpoint = _with_begin(endpoint)
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        return _replay_or_handle(handle) if self.methods and "POST" in self.methods else handle


class IdempotentAdminRoute(IdempotentRoute):
    """An administrative route. Its POST accepts a key, and refuses to change an archived project.

    An `async` endpoint checks the latter itself, in its transaction.
    """

    note_key: ClassVar = Depends(_note_admin_key)

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        is_change = "POST" in options["methods"] and "{project_id}" in path
        if is_change and endpoint.__name__ not in ALLOWED_WHEN_ARCHIVED and not iscoroutinefunction(endpoint):
            endpoint = _for_active_project(endpoint)
        super().__init__(path, endpoint, **options)


def _for_active_project(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(endpoint)
    def check_and_call(**values: Any) -> Any:
        projects.get_active_project(values["session"], values["project_id"])
        return endpoint(**values)

    return check_and_call


def _replay_or_handle(handle: Callable[[Request], Coroutine[Any, Any, Response]]) -> Callable[[Request], Any]:
    """Store the answer by a hook of the session: it commits after the handler returns, before the answer is sent."""

    async def replay_or_handle(request: Request) -> Response:
        _keyed.set(None)
        try:
            response = await handle(request)
        except Replayed as replayed:
            response = replayed.response
        if keyed := _keyed.get():
            if keyed.session is not None:
                _store_on_commit(keyed.session, keyed, response)
            if keyed.is_replay:
                response.headers[REPLAYED] = "true"
        return response

    return replay_or_handle


def _store_on_commit(session: Session, keyed: _KeyedRequest, response: Response) -> None:
    body, content_type = bytes(response.body).decode(), response.headers["content-type"]
    event.listen(session, "before_commit", lambda _: keyed.store(response.status_code, content_type, body), once=True)

"""`Idempotency-Key`: a POST that is sent again under its key is answered as before, and not carried out again."""

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
from shared.errors import Invalid
from shared.idempotency import StoredAnswer, answer_id, find_or_reserve, store
from shared.projects import service as projects
from shared.security.secrets import seal, unseal

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"

# POSTs about an archived project that are carried out, and why.
AFTER_THE_END = {
    "archive_project": "sent again, it is answered as before",
    "create_adjustment": "the provider's bill comes when the month is over",
}

_Key = Annotated[
    str | None,
    Header(
        alias=HEADER,
        min_length=1,
        max_length=255,
        pattern="^[ -~]+$",
        description="Sent again under the same key within a day, the request is not carried out again: the answer is "
        f"the first one, with `{REPLAYED}: true`. An error has changed nothing, and is not kept.",
    ),
]


@dataclass
class _Keyed:
    """A request that came under a key. `session` is that of its work, until its answer is stored."""

    id: str
    address: str
    facts: tuple[object, ...] = ()
    session: Session | None = None
    is_replay: bool = False

    def request_sha256(self) -> str:
        asked = json.dumps([self.address, *self.facts], sort_keys=True)
        return sha256(asked.encode()).hexdigest()

    def find(self, session: Session, facts: tuple[object, ...]) -> StoredAnswer | None:
        self.facts = facts or self.facts
        answer = find_or_reserve(session, self.id)
        if answer is None:
            self.session = session
        elif answer.request_sha256 != self.request_sha256():
            sentence = f"This {HEADER} was used for another request, of another body or address: take a new one"
            raise Invalid(sentence, code="idempotency_key_reused", param=HEADER)
        else:
            self.is_replay = True
        return answer

    def store(self, status: int, content_type: str, body: str) -> None:
        """Once, and in the transaction of the work."""
        if self.session is None:
            return
        answer = StoredAnswer(
            id=self.id,
            request_sha256=self.request_sha256(),
            status=status,
            content_type=content_type,
            sealed_body=seal(body, self.id),
        )
        store(self.session, answer)
        self.session = None


_keyed: ContextVar[_Keyed | None] = ContextVar("keyed", default=None)


Answer = TypeVar("Answer", bound=BaseModel)


class Replayed(Exception):
    """The request has been carried out before. The answer is read while its transaction lasts."""

    def __init__(self, answer: StoredAnswer) -> None:
        body, headers = unseal(answer.sealed_body, answer.id), {"content-type": answer.content_type}
        self.response = Response(body, answer.status, headers)


def begin(session: Session, *facts: object) -> None:
    """Ask, before the work and in its transaction, whether it has been done; a request without a key is carried out.

    `facts` are what was sent, beside method and address. Raises `Replayed`, which ends the request with the stored
    answer; `Invalid` if the key was used for something else; `KeyInUse` while another transaction is at it.
    """
    keyed = _keyed.get()
    if keyed and (answer := keyed.find(session, facts)):
        raise Replayed(answer)


def keep(answer: Answer) -> Answer:
    """Store what will be answered, in the transaction that `begin` was given, after the work."""
    if keyed := _keyed.get():
        keyed.store(200, "application/json", answer.model_dump_json(by_alias=True))
    return answer


def recall(session: Session, *facts: object) -> str | None:
    """As `begin`, where the answer cannot be known in the transaction of the work: what was remembered to find it."""
    keyed = _keyed.get()
    answer = keyed.find(session, facts) if keyed else None
    return unseal(answer.sealed_body, answer.id) if answer else None


def remember(text: str) -> None:
    """What this request can be answered from again, in the transaction that `recall` was given."""
    if keyed := _keyed.get():
        keyed.store(200, "text/plain", text)


async def _for_project(request: Request, caller: CallerDep, key: _Key = None) -> None:
    _note(request, caller.project_id, key)


async def _for_admin(request: Request, admin: AdminDep, key: _Key = None) -> None:
    """What one admin key was answered, such as a secret, is not for another, which may have fewer scopes."""
    _note(request, admin.key_id, key)


def _note(request: Request, owner: str, key: str | None) -> None:
    if key is not None:
        _keyed.set(_Keyed(answer_id(owner, key), f"{request.method} {request.url.path}?{request.url.query}"))


async def _note_body(request: Request) -> None:
    """What the body says, however it is written: with other spaces, or its fields in another order, it is the same."""
    if keyed := _keyed.get():
        try:
            keyed.facts = (await request.json(),)
        except (ValueError, RecursionError):  # where no body is expected, any will do
            keyed.facts = (sha256(await request.body()).hexdigest(),)


def _begun(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """The question is asked in the thread of the work, so that no connection waits for a thread while it is held."""

    @wraps(endpoint)
    def begin_and_do(**values: Any) -> Any:
        begin(values["session"])
        return endpoint(**values)

    return begin_and_do


class IdempotentRoute(APIRoute):
    """A route of a project, whose POST may carry a key.

    A plain route needs nothing but its `session`. An `async` one takes in what is large, or waits for others, without a
    transaction: when it has opened one, it calls `begin` itself, and `keep` before the end of it.
    """

    noted: ClassVar = Depends(_for_project)

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if "POST" in options["methods"]:
            options["dependencies"] = [*options["dependencies"], self.noted]
            if not iscoroutinefunction(endpoint):
                options["dependencies"].append(Depends(_note_body))
                endpoint = _begun(endpoint)
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        return _once(handle) if self.methods and "POST" in self.methods else handle


class IdempotentAdminRoute(IdempotentRoute):
    """A route of the organization: behind it stands an admin key. Nothing is made or changed in an archived project.

    An `async` one says so itself, in its transaction.
    """

    noted: ClassVar = Depends(_for_admin)

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        is_change = "POST" in options["methods"] and "{project_id}" in path
        if is_change and endpoint.__name__ not in AFTER_THE_END and not iscoroutinefunction(endpoint):
            endpoint = _while_active(endpoint)
        super().__init__(path, endpoint, **options)


def _while_active(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(endpoint)
    def check_and_do(**values: Any) -> Any:
        projects.get_active_project(values["session"], values["project_id"])
        return endpoint(**values)

    return check_and_do


def _once(handle: Callable[[Request], Coroutine[Any, Any, Response]]) -> Callable[[Request], Any]:
    """A `SessionDep` is committed when the handler has returned, and before the answer is sent."""

    async def handle_once(request: Request) -> Response:
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

    return handle_once


def _store_on_commit(session: Session, keyed: _Keyed, response: Response) -> None:
    body, content_type = bytes(response.body).decode(), response.headers["content-type"]
    event.listen(session, "before_commit", lambda _: keyed.store(response.status_code, content_type, body), once=True)

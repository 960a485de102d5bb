"""Runs a call with its fault: delays it, changes or replaces the answer, or closes the connection."""

import asyncio
from typing import Any

import msgspec
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.faults.armed import Fault
from sandbox.faults.connection import cut
from wire_server.answers import answer


class Faulty:
    """The app with one fault applied to this call."""

    def __init__(self, app: ASGIApp, fault: Fault) -> None:
        self.app = app
        self.fault = fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self.fault
        if fault.delay:
            receive = await _read_ahead(receive)
            await asyncio.sleep(fault.delay)
        done = None
        if fault.takes_effect:
            fault.arm(scope)
            done = _Recording()
            await self.app(scope, receive, done.send)
        await asyncio.sleep(fault.delay_after)
        if fault.drop:
            await cut(scope, receive)
        elif fault.answers:
            await _own_answer(fault)(scope, receive, send)
        elif done:
            await done.replay(send, fault.patch)


async def _read_ahead(receive: Receive) -> Receive:
    """Reads the whole body now, so that a caller who disconnects during the delay does not undo the call."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())

    async def replay() -> Message:
        return messages.pop(0) if messages else await receive()

    return replay


class _Recording:
    """Holds the answer back until the fault's delay is over."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    async def replay(self, send: Send, patch: dict[str, Any] | None) -> None:
        start, *rest = self.messages
        body = b"".join(message.get("body", b"") for message in rest)
        if patch is not None:
            body = _patched(body, patch)
        headers = MutableHeaders(scope=start)
        headers["content-length"] = str(len(body))
        await send(start)
        await send({"type": "http.response.body", "body": body})


def _patched(body: bytes, patch: dict[str, Any]) -> bytes:
    content = msgspec.json.decode(body)
    return msgspec.json.encode(content | patch if isinstance(content, dict) else content)


def _own_answer(fault: Fault) -> Response:
    status, body, headers = fault.answer()
    if isinstance(body, str):
        return Response(body, status, dict(headers), "text/plain")
    return answer(body, status, headers)

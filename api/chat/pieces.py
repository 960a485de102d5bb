"""Reads an answer of a provider piece by piece: server-sent events of chat chunks, or one completion as a whole."""

import json
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Any

MAX_LINE_BYTES = 1 << 20  # one event; what is longer is no piece of an answer
MAX_TOKENS = 10**12  # a count above it is none
BROKE_OFF = "The answer broke off"
UNREADABLE = "The provider's answer cannot be read"
_PREFIX = b"data:"
_END = b"[DONE]"


@dataclass(frozen=True)
class Piece:
    """Some more of an answer: text, its count of tokens once that is known, or why it has ended (`finish`)."""

    text: str = ""
    tokens: int | None = None
    finish: str = ""


class AnswerFailed(Exception):
    """The provider has sent an error, or something that is no answer; the message says it in words."""


async def pieces(blocks: AsyncIterable[Any]) -> AsyncIterator[Piece]:
    """Yield the pieces of a streamed answer. Raises `AnswerFailed` for an error in it, and if it ends too early."""
    is_over = has_ended = False
    async for line in _lines(blocks):
        if is_over or not line.startswith(_PREFIX):
            continue
        content = line.removeprefix(_PREFIX).strip()
        is_over = content == _END
        if not is_over:
            piece = _piece(_decoded(content), "delta")
            has_ended = has_ended or bool(piece.finish)
            yield piece
    if not (is_over or has_ended):
        raise AnswerFailed(BROKE_OFF)


def whole(content: bytes) -> Piece:
    """Return an answer that came at once, from a provider that does not stream. Raises `AnswerFailed`."""
    return _piece(_decoded(content), "message")


def error_in(content: bytes) -> str:
    """Return the sentence of an error's body."""
    try:
        return _sendable(str(json.loads(content)["error"]["message"]))
    except (ValueError, LookupError, TypeError):
        return UNREADABLE


async def _lines(blocks: AsyncIterable[Any]) -> AsyncIterator[bytes]:
    rest = b""
    async for block in blocks:
        *lines, rest = (rest + (block.encode() if isinstance(block, str) else bytes(block))).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > MAX_LINE_BYTES:
            raise AnswerFailed(UNREADABLE)
    yield rest


def _decoded(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        raise AnswerFailed(UNREADABLE) from None
    if not isinstance(found, dict):
        raise AnswerFailed(UNREADABLE)
    if found.get("error"):
        raise AnswerFailed(error_in(content))
    return found


def _piece(found: dict[str, Any], part: str) -> Piece:
    try:
        usage = found.get("usage") or {}
        choice = found["choices"][0] if found["choices"] else {}
        said = choice.get(part) or {}
        calls = json.dumps(said["tool_calls"], ensure_ascii=False) if said.get("tool_calls") else ""
        text = f"{said.get('content') or said.get('refusal') or ''}{calls}"
        tokens = usage.get("completion_tokens")
        is_count = isinstance(tokens, int) and 0 <= tokens <= MAX_TOKENS
        return Piece(_sendable(text), tokens if is_count else None, str(choice.get("finish_reason") or ""))
    except (LookupError, TypeError, AttributeError):
        raise AnswerFailed(UNREADABLE) from None


def _sendable(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON can contain and UTF-8 cannot."""
    return text.encode(errors="replace").decode()

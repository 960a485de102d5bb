"""Shows examples as a model reads them: the tokens of each message, what is trained on, what is truncated."""

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, Literal

from pydantic import BaseModel

from shared.datasets.validation.lines.examine import examine_line
from shared.datasets.validation.rules.counted_message import CountedMessage
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.tokens.encoding import encoding
from shared.datasets.validation.tokens.example_tokens import ExampleTokens

MAX_SHOWN_TOKENS = 2_000  # per example
MAX_TEXT_CHARACTERS = 10_000  # per message
MAX_TOKEN_CHARACTERS = 64  # no token of the encodings is longer, repeated spaces excepted


class MessagePreview(BaseModel):
    """`pieces` are the tokens of the text, at most 2,000 in an example. `trained`: the model learns to write this.

    `text` has up to 10,000 characters, and the calls of tools after the message's own text.
    """

    role: str
    trained: bool
    text: str = ""
    pieces: list[str]


class ExamplePreview(BaseModel):
    """`truncated`: `tokens` exceeds the model's `limit`, so the end is cut off. `error`: why it is unreadable."""

    object: Literal["dataset.example"] = "dataset.example"
    line: int
    tokens: int | None = None
    trained_tokens: int | None = None
    limit: int | None = None
    truncated: bool = False
    error: str | None = None
    messages: list[MessagePreview] = []


def preview(file: BinaryIO, format: str, model: str, provider: str, count: int) -> list[ExamplePreview]:
    """The first `count` examples of a file of this format, in the tokens of this model's encoding."""
    base = rules().model(model)
    name = base.encoding if base else "o200k_base"
    limit = base.example_tokens if base else None
    sums = ExampleTokens(lambda text: len(encoding(name).encode_ordinary(text)), format)
    return [_example(number, line, format, provider, name, limit, sums) for number, line in islice(_lines(file), count)]


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(rules().ours.line_bytes):
        number += 1
        text = line.removeprefix(b"\xef\xbb\xbf").strip()
        if text:
            yield number, text


def _example(
    number: int, line: bytes, format: str, provider: str, encoding_name: str, limit: int | None, sums: ExampleTokens
) -> ExamplePreview:
    examined = examine_line(line, format, provider)
    if not examined.messages:
        reason = examined.findings[0].message if examined.findings else "it has no messages"
        return ExamplePreview(line=number, error=reason)
    tokens, trained = sums.of_counted(examined.messages)
    return ExamplePreview(
        line=number,
        tokens=tokens,
        trained_tokens=trained,
        limit=limit,
        truncated=limit is not None and tokens > limit,
        messages=list(_messages(examined.messages, encoding_name)),
    )


def _messages(messages: list[CountedMessage], encoding_name: str) -> Iterator[MessagePreview]:
    tokenizer, left = encoding(encoding_name), MAX_SHOWN_TOKENS
    for message in messages:
        text = (message.content + message.calls)[: left * MAX_TOKEN_CHARACTERS]
        numbers = tokenizer.encode_ordinary(text)[:left]
        left -= len(numbers)
        pieces = [tokenizer.decode_single_token_bytes(number).decode(errors="replace") for number in numbers]
        shown = "\n".join(filter(None, (message.content, message.calls)))[:MAX_TEXT_CHARACTERS]
        yield MessagePreview(role=message.role, trained=message.trained, text=shown, pieces=pieces)

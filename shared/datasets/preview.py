"""Some examples as they will be read: each message cut into its tokens, what is trained on, and where a model stops."""

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, Literal

from pydantic import BaseModel

from shared.datasets.validation.lines.slow import examine_line
from shared.datasets.validation.rules.formats import Turn
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.tokens.encoding import encoding
from shared.datasets.validation.tokens.example_tokens import TokenSums

SHOWN_TOKENS = 2_000


class MessagePreview(BaseModel):
    """`pieces` are the tokens of the text, at most 2,000 in an example; `trained`: the model learns to say this."""

    role: str
    trained: bool
    pieces: list[str]


class ExamplePreview(BaseModel):
    """`truncated`: `tokens` is over the model's `limit`, and the end is cut off. `error`: why it cannot be read."""

    object: Literal["dataset.example"] = "dataset.example"
    line: int
    tokens: int | None = None
    trained_tokens: int | None = None
    limit: int | None = None
    truncated: bool = False
    error: str | None = None
    messages: list[MessagePreview] = []


def preview(file: BinaryIO, format: str, model: str, provider: str, count: int) -> list[ExamplePreview]:
    """The first `count` examples of a file of this format, as this model's encoding cuts them."""
    base = rules().model(model)
    name = base.encoding if base else "o200k_base"
    limit = base.example_tokens if base else None
    sums = TokenSums(name, format)
    return [_example(number, line, format, provider, name, limit, sums) for number, line in islice(_lines(file), count)]


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(rules().ours.line_bytes):
        number += 1
        text = line.removeprefix(b"\xef\xbb\xbf").strip()
        if text:
            yield number, text


def _example(
    number: int, line: bytes, format: str, provider: str, encoding_name: str, limit: int | None, sums: TokenSums
) -> ExamplePreview:
    examined = examine_line(line, format, provider)
    if not examined.turns:
        reason = examined.findings[0].message if examined.findings else "it has no messages"
        return ExamplePreview(line=number, error=reason)
    tokens, trained = sums.of_turns(examined.turns)
    return ExamplePreview(
        line=number,
        tokens=tokens,
        trained_tokens=trained,
        limit=limit,
        truncated=limit is not None and tokens > limit,
        messages=list(_messages(examined.turns, encoding_name)),
    )


def _messages(turns: list[Turn], encoding_name: str) -> Iterator[MessagePreview]:
    cut, room = encoding(encoding_name), SHOWN_TOKENS
    for turn in turns:
        numbers = cut.encode_ordinary((turn.content + turn.calls)[: room * 64])[:room]
        room -= len(numbers)
        pieces = [cut.decode_single_token_bytes(number).decode(errors="replace") for number in numbers]
        yield MessagePreview(role=turn.role, trained=turn.trained, pieces=pieces)

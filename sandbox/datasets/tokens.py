"""Counts the tokens that a training is billed for, by the formula of OpenAI's cookbook and vision guide.

All texts are counted in o200k_base, the encoding of every base model that OpenAI still tunes.
"""

import json
import lzma
import re
from binascii import a2b_base64
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import tiktoken

RANKS = Path(__file__).parents[2] / "shared/datasets/validation/tokens/ranks/o200k_base.tiktoken.xz"
"""Read as a file, not imported: it has 2 MB, and tiktoken itself would fetch it from the network."""

PATTERN = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
PER_MESSAGE, PER_EXAMPLE, PER_NAME = 3, 3, 1
IMAGE_LOW, IMAGE_HIGH = 85, 765
MAX_EXAMPLE_TOKENS = 65_536
"""Training cuts an example off here, and the rest is not billed."""

MAX_CACHED_CHARACTERS, MAX_CACHED_TEXTS = 2_000, 10_000
PIECE_CHARACTERS = 1_000_000
"""More in one call would take too much memory."""

_MANY_SPACES = re.compile(r"(\s{100000})")
"""tiktoken fails at a million in a row."""


def load() -> None:
    """Reads the encoding, which takes a third of a second, so that no request waits for it."""
    _encoding()


@cache
def _encoding() -> tiktoken.Encoding:
    words = lzma.decompress(RANKS.read_bytes()).split()
    ranks = dict(zip(map(a2b_base64, words[::2]), map(int, words[1::2]), strict=True))
    return tiktoken.Encoding("o200k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})


def of_example(record: dict[str, Any]) -> int:
    """The billed tokens of an example of any format, for one epoch."""
    if "completion" in record:
        return min(_of_text(record["prompt"]) + _of_text(record["completion"]), MAX_EXAMPLE_TOKENS)
    asked = record.get("input", record)
    first, *others = _objects(asked["messages"])
    others += _objects(record.get("preferred_output")) + _objects(record.get("non_preferred_output"))
    tokens = PER_EXAMPLE + _of_message(first, _declared(asked)) + sum(map(_of_message, others))
    return min(tokens, MAX_EXAMPLE_TOKENS)


def _of_message(message: dict[str, Any], declared: str = "") -> int:
    parts = _objects(message.get("content"))
    images = [part for part in parts if part.get("type") == "image_url"]
    content = message.get("content") if not parts else "".join(_text_of(part) for part in parts)
    is_answer = message["role"] == "assistant"
    texts = [message["role"], content or (message.get("refusal") if is_answer else ""), _calls(message) + declared]
    tokens = PER_MESSAGE + sum(_of_text(str(text)) for text in texts if text)
    tokens += sum(IMAGE_LOW if _is_low(image) else IMAGE_HIGH for image in images)
    return tokens + (_of_text(str(message["name"])) + PER_NAME if message.get("name") else 0)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text_of(part: dict[str, Any]) -> str:
    return str(part.get("text") or part.get("refusal") or "")


def _is_low(image: dict[str, Any]) -> bool:
    return isinstance(image.get("image_url"), dict) and image["image_url"].get("detail") == "low"


def _calls(message: dict[str, Any]) -> str:
    """The names and arguments of a message's calls: no provider publishes in which form a model writes them."""
    if message["role"] != "assistant":
        return ""
    called = [call.get("function") for call in _objects(message.get("tool_calls"))]
    functions = _objects([*called, message.get("function_call")])
    return "\n".join(f"{function.get('name')}\n{function.get('arguments')}" for function in functions)


def _declared(asked: dict[str, Any]) -> str:
    """The tools as JSON: no provider publishes in which form a model reads them."""
    values = [asked[key] for key in ("tools", "functions") if asked.get(key)]
    return "".join(json.dumps(value, ensure_ascii=False, separators=(",", ":")) for value in values)


def _of_text(text: str) -> int:
    return _of_short_text(text) if len(text) <= MAX_CACHED_CHARACTERS else _encoded_length(text)


@lru_cache(MAX_CACHED_TEXTS)
def _of_short_text(text: str) -> int:
    return _encoded_length(text)


def _encoded_length(text: str) -> int:
    pieces = _MANY_SPACES.split(text)
    starts = ((piece, start) for piece in pieces for start in range(0, len(piece), PIECE_CHARACTERS))
    return sum(len(_encoding().encode_ordinary(piece[start : start + PIECE_CHARACTERS])) for piece, start in starts)

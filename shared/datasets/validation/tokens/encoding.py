"""Counts tokens exactly as tiktoken does, but faster, and with its rank files shipped here: it needs no network.

Two things save time. The counts of repeated texts are cached. And much of tiktoken's time goes into one look-ahead in
its pattern, which separates the last of several spaces from those before it; a text that is split there beforehand
can be encoded with a pattern that has no look-ahead.
"""

import lzma
import re
from binascii import a2b_base64
from collections.abc import Callable
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import tiktoken
from pydantic_core import SchemaValidator, core_schema

_O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+"
)
_CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]"
_QUICK_CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+$|\s*[\r\n]"


class Definition(NamedTuple):
    """tiktoken's pattern, one for texts without adjacent spaces, and the SHA-256 of the rank file."""

    pattern: str
    quick_pattern: str
    sha256: str


ENCODINGS = {
    "o200k_base": Definition(
        _O200K + r"|\s+(?!\S)|\s+",
        _O200K + r"|\s+",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "cl100k_base": Definition(
        _CL100K + r"|\s+(?!\S)|\s",
        _QUICK_CL100K + r"|\s",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
}

MAX_CACHED_CHARACTERS = 8_000_000  # in each process; a string takes 1 to 4 bytes per character
MAX_ENCODED_CHARACTERS = 1_000_000  # per call of tiktoken, which needs 80 bytes of memory per token
MAX_SPACES = 100_000  # in a row: tiktoken panics at a million

# The spaces within a line by Rust's \s, which has fewer than Python's; and a run of them before a word, but the last.
_SPACE = " \t\x0b\x0c\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_ALL_BUT_LAST_SPACE = re.compile(rf"([{_SPACE}](?<![{_SPACE}]{{2}})[{_SPACE}]*)(?=[{_SPACE}][^\r\n{_SPACE}])")
_MANY_SPACES = re.compile(rf"(\s{{{MAX_SPACES}}})")
_has_adjacent_spaces = SchemaValidator(
    core_schema.str_schema(pattern=r"[^\S\r\n]{2}", regex_engine="rust-regex")
).isinstance_python


@cache
def encoding(name: str) -> tiktoken.Encoding:
    """tiktoken's encoding, from the rank file shipped here. Loading takes 0.3 s and 70 MB, once per process."""
    return tiktoken.Encoding(name, pat_str=ENCODINGS[name].pattern, mergeable_ranks=_ranks(name), special_tokens={})


@cache
def _quick_encoding(name: str) -> tiktoken.Encoding:
    return tiktoken.Encoding(
        name, pat_str=ENCODINGS[name].quick_pattern, mergeable_ranks=_ranks(name), special_tokens={}
    )


@cache
def _ranks(name: str) -> dict[bytes, int]:
    packed = Path(__file__).with_name("ranks") / f"{name}.tiktoken.xz"
    ranks = lzma.decompress(packed.read_bytes())
    expected = ENCODINGS[name].sha256
    if sha256(ranks).hexdigest() != expected:
        raise RuntimeError(f"{packed} is damaged: its SHA-256 is not {expected}")
    words = ranks.split()
    return dict(zip(map(a2b_base64, words[::2]), map(int, words[1::2]), strict=True))


def _is_mostly_foreign(text: str) -> bool:
    """Whether many characters are outside ASCII. With hundreds of different ones the quick pattern is the slow one."""
    return not text.isascii() and 4 * len(text.encode(errors="surrogatepass")) > 5 * len(text)


class TokenCounter:
    """Counts the tokens of texts, and caches the counts in bounded memory."""

    def __init__(self, name: str) -> None:
        self._encode = _quick_encoding(name).encode_ordinary
        self._name = name
        self._texts: dict[str, int] = {}
        self._characters = 0

    def count(self, text: str) -> int:
        found = self._texts.get(text)
        return self._count_new(text) if found is None else found

    def _count_new(self, text: str) -> int:
        tokens = self._count_long(text) if len(text) >= MAX_SPACES else self._encoded_length(text)
        self._characters += len(text)
        if self._characters > MAX_CACHED_CHARACTERS:
            self._texts.clear()
            self._characters = len(text)
        self._texts[text] = tokens
        return tokens

    def _encoded_length(self, text: str) -> int:
        if _is_mostly_foreign(text):
            return len(self._encode_foreign(text))
        pieces = _ALL_BUT_LAST_SPACE.split(text) if _has_adjacent_spaces(text) else (text,)
        return sum(map(len, map(self._encode, pieces)))

    @cached_property
    def _encode_foreign(self) -> Callable[[str], list[int]]:
        return encoding(self._name).encode_ordinary

    def _count_long(self, text: str) -> int:
        """Count a text in pieces that tiktoken can take. Each cut may add one token to the exact count."""
        return sum(
            self._encoded_length(piece[start : start + MAX_ENCODED_CHARACTERS])
            for piece in _MANY_SPACES.split(text)
            for start in range(0, len(piece), MAX_ENCODED_CHARACTERS)
        )

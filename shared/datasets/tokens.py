"""Counts tokens exactly as tiktoken does, faster, and from rank files of our own: no network at run time.

tiktoken was chosen over its rivals for being the reference, exact and maintained (`libraries.md` §4); a memo
saves most of its time. A space between two characters that are no spaces is where a piece of both encodings begins,
whatever stands around it: so a text's tokens are the sum of its words', and texts are made of few words.
"""

import base64
import lzma
import re
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path

import tiktoken

O200K = "|".join(
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
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
ENCODINGS = {
    "o200k_base": (O200K, "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"),
    "cl100k_base": (CL100K, "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"),
}
"""Name → the pattern that cuts a text into pieces, and the SHA-256 of the ranks as tiktoken pins it."""

MAX_WORDS = 150_000
MAX_WORD = 64
MAX_REMEMBERED_CHARACTERS = 8_000_000
MAX_UNBROKEN = 1_000_000
MAX_SPACES = 100_000

_BETWEEN_WORDS = re.compile(r"(?<=\S) (?=\S)")
_MANY_SPACES = re.compile(rf"(\s{{{MAX_SPACES}}})")


@cache
def encoding(name: str) -> tiktoken.Encoding:
    """The encoding, from ranks whose hash is checked. It takes 0.3 s and 60 MB, once per process."""
    pattern, expected = ENCODINGS[name]
    packed = Path(__file__).with_name("ranks") / f"{name}.tiktoken.xz"
    ranks = lzma.decompress(packed.read_bytes())
    if sha256(ranks).hexdigest() != expected:
        raise RuntimeError(f"{packed} is damaged: its SHA-256 is not {expected}")
    pairs = (line.split() for line in ranks.splitlines())
    mergeable = {base64.b64decode(token): int(rank) for token, rank in pairs}
    return tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=mergeable, special_tokens={})


class TokenCounter:
    """Counts the tokens of texts, remembering whole texts and words, within bounds."""

    def __init__(self, name: str) -> None:
        self._encode = encoding(name).encode_ordinary
        self._words = _Words(self._exact)
        self._texts: dict[str, int] = {}
        self._characters = 0

    def count(self, text: str) -> int:
        found = self._texts.get(text)
        return self._remember(text) if found is None else found

    def _remember(self, text: str) -> int:
        tokens = self._fresh(text)
        self._characters += len(text)
        if self._characters > MAX_REMEMBERED_CHARACTERS:
            self._texts.clear()
            self._characters = len(text)
        self._texts[text] = tokens
        return tokens

    def _fresh(self, text: str) -> int:
        first, *words = text.split(" ")
        if not _begins_and_ends(first):
            return self._spaced(text)
        try:
            return self._exact(first) + sum(map(self._words.__getitem__, words))
        except _NotAWord:
            return self._spaced(text)

    def _spaced(self, text: str) -> int:
        """A text with runs of spaces, or line ends beside them: what lies between single spaces is a word here."""
        first, *words = _BETWEEN_WORDS.split(text)
        known, exact = self._words.get, self._exact
        total = exact(first)
        for word in words:
            tokens = known(word)
            total += exact(" " + word) if tokens is None else tokens
        return total

    def _exact(self, text: str) -> int:
        """By tiktoken itself, which panics at a million spaces and needs 80 bytes per token: enormous texts are cut."""
        if len(text) < MAX_SPACES:
            return len(self._encode(text))
        pieces = [piece for piece in _MANY_SPACES.split(text) if piece]
        return sum(
            len(self._encode(piece[start : start + MAX_UNBROKEN]))
            for piece in pieces
            for start in range(0, len(piece), MAX_UNBROKEN)
        )


class _NotAWord(Exception):
    """It begins or ends with a space, or is nothing: two spaces stood side by side."""


class _Words(dict[str, int]):
    """Words, and how many tokens each has after a space."""

    def __init__(self, exact: Callable[[str], int]) -> None:
        super().__init__()
        self._exact = exact

    def __missing__(self, word: str) -> int:
        if not _begins_and_ends(word):
            raise _NotAWord
        tokens = self._exact(" " + word)
        if len(word) <= MAX_WORD:
            if len(self) >= MAX_WORDS:
                self.clear()
            self[word] = tokens
        return tokens


def _begins_and_ends(word: str) -> bool:
    return bool(word) and not word[0].isspace() and not word[-1].isspace()

"""Counts tokens exactly as tiktoken does, in bounded memory and time whatever the text, and caches the counts."""

import re
from collections.abc import Callable

from shared.datasets.validation.tokens.by_fastokens import fastokens_counter
from shared.datasets.validation.tokens.by_tiktoken import tiktoken_counter

MAX_CACHED_CHARACTERS = 1_000_000  # in each process; a string takes 1 to 4 bytes per character
MAX_ENCODED_CHARACTERS = 1_000_000  # per call: tiktoken needs 80 bytes of memory per token
MAX_SPACES = 100_000  # in a row: tiktoken panics at a million
_MANY_SPACES = re.compile(rf"(\s{{{MAX_SPACES}}})")


def quickest_counter(name: str) -> Callable[[str], int]:
    """Counts by fastokens, or by tiktoken where that is missing."""
    return fastokens_counter(name) or tiktoken_counter(name)


class TokenCounter:
    """Counts the tokens of texts by `encoded_length`, and caches the counts in bounded memory."""

    def __init__(self, encoded_length: Callable[[str], int]) -> None:
        self._encoded_length = encoded_length
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

    def _count_long(self, text: str) -> int:
        """Count a text in pieces that tiktoken can take. Each cut may add one token to the exact count."""
        return sum(
            self._encoded_length(piece[start : start + MAX_ENCODED_CHARACTERS])
            for piece in _MANY_SPACES.split(text)
            for start in range(0, len(piece), MAX_ENCODED_CHARACTERS)
        )

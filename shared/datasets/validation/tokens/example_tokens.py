"""Adds up the tokens of an example by the formula of `rules.json`, which gives the numbers that OpenAI bills."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import cast

from shared.datasets.validation.lines.plain import PlainMessage
from shared.datasets.validation.rules.counted_message import CountedMessage
from shared.datasets.validation.rules.formats import COMPLETION
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.tokens.counter import TokenCounter


class ExampleTokens:
    """Counts the tokens of examples in one encoding. Each method returns all tokens, and those that are trained on.

    `encoded_length` says how many tokens a text has.
    """

    def __init__(self, encoded_length: Callable[[str], int], format: str) -> None:
        self._counter = TokenCounter(encoded_length)
        self._formula = rules().token_formula
        self._is_chat = format != COMPLETION
        self._per_message = cache(self._per_message_of)  # by role, for each instance: the encodings differ

    def _per_message_of(self, role: str) -> int:
        return self._formula.per_message + self._counter.count(role) if self._is_chat else 0

    def of_example(self, example: Sequence[PlainMessage] | Sequence[CountedMessage]) -> tuple[int, int]:
        if isinstance(example[0], CountedMessage):
            return self.of_counted(cast("Sequence[CountedMessage]", example))
        return self.of_plain(cast("Sequence[PlainMessage]", example))

    def of_plain(self, messages: Sequence[PlainMessage]) -> tuple[int, int]:
        total, trained = self._formula.per_example if self._is_chat else 0, 0
        count = self._counter.count
        for message in messages:
            role, tokens = message.role, count(message.content)
            total += tokens + self._per_message(role)
            if role in ("assistant", "completion"):
                trained += tokens
        return total, trained

    def of_counted(self, messages: Sequence[CountedMessage]) -> tuple[int, int]:
        formula, total, trained = self._formula, self._formula.per_example if self._is_chat else 0, 0
        for message in messages:
            tokens = self._counter.count(message.content) + (self._counter.count(message.calls) if message.calls else 0)
            total += tokens + self._per_message(message.role)
            if message.name is not None:
                total += self._counter.count(message.name) + formula.per_name
            total += message.images_low * formula.image_low + message.images_high * formula.image_high
            if message.trained:
                trained += tokens
        return total, trained

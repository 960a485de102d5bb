"""Adds up the tokens of an example by the formula for chat messages that matches what is billed (`rules.json`)."""

from collections.abc import Sequence
from functools import cache
from typing import cast

from shared.datasets.validation.lines.fast import Message
from shared.datasets.validation.rules.formats import COMPLETION, Turn
from shared.datasets.validation.rules.limits import rules
from shared.datasets.validation.tokens.encoding import TokenCounter


class TokenSums:
    """Counts examples in one encoding. The answers are the tokens of the whole example, and of what is trained on."""

    def __init__(self, encoding: str, format: str) -> None:
        self._counter = TokenCounter(encoding)
        self._formula = rules().token_formula
        self._is_chat = format != COMPLETION
        self._around = cache(self._around_role)

    def _around_role(self, role: str) -> int:
        return self._formula.per_message + self._counter.count(role) if self._is_chat else 0

    def of_example(self, example: Sequence[Message] | Sequence[Turn]) -> tuple[int, int]:
        if isinstance(example[0], Turn):
            return self.of_turns(cast("Sequence[Turn]", example))
        return self.of_messages(cast("Sequence[Message]", example))

    def of_messages(self, messages: Sequence[Message]) -> tuple[int, int]:
        total, trained = self._formula.per_example if self._is_chat else 0, 0
        count = self._counter.count
        for message in messages:
            role, tokens = message.role, count(message.content)
            total += tokens + self._around(role)
            if role in ("assistant", "completion"):
                trained += tokens
        return total, trained

    def of_turns(self, turns: Sequence[Turn]) -> tuple[int, int]:
        formula, total, trained = self._formula, self._formula.per_example if self._is_chat else 0, 0
        for turn in turns:
            tokens = self._counter.count(turn.content) + (self._counter.count(turn.calls) if turn.calls else 0)
            total += tokens + self._around(turn.role)
            if turn.name is not None:
                total += self._counter.count(turn.name) + formula.per_name
            total += turn.images_low * formula.image_low + turn.images_high * formula.image_high
            if turn.trained:
                trained += tokens
        return total, trained

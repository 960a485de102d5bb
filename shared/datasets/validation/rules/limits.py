"""The limits of providers, methods and models, read from `rules.json`: providers change them more often than code."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

RULES_FILE = Path(__file__).with_name("rules.json")


class OwnLimits(msgspec.Struct, frozen=True):
    """Limits of Tunery itself; no provider publishes how long a line or how deep an example may be.

    `line_bytes` and `depth` bound the memory and the recursion of a check, `digits` the time to read a number: longer
    ones are errors. `duplicates_examples` is how many lines are compared for duplicates. More than `many_messages` in
    one example are a warning. After `findings_in_wrong_lines` the check stops: further lines are only
    counted. A line with more than `line_findings` is not examined to its end, which is an error.
    """

    line_bytes: int
    depth: int
    digits: int
    duplicates_examples: int
    many_messages: int
    findings_in_wrong_lines: int
    line_findings: int


class Limits(msgspec.Struct, frozen=True):
    """Limits of a provider; `max_examples` by method, an absent method has none.

    `asks_for_bom`: whether its guide asks for a UTF-8 byte order mark, which others refuse.
    """

    file_bytes: int
    min_examples: int
    max_examples: dict[str, int]
    max_image_examples: int
    max_images_per_example: int
    max_image_bytes: int
    max_functions: int
    output_roles: list[str]
    max_output_messages: int
    asks_for_bom: bool


class Sourced(msgspec.Struct, frozen=True):
    """A limit as `rules.json` has it: where the provider publishes the value, and when it was read there."""

    value: Any
    source: str
    as_of: date


class Model(msgspec.Struct, frozen=True):
    """A base model. `example_tokens` is where training truncates an example; None where it is not published."""

    name: str
    alias: str | None
    encoding: str
    methods: list[str]
    formats: list[str]
    example_tokens: int | None
    retires: date | None


class TokenFormula(msgspec.Struct, frozen=True):
    """The tokens of a chat message besides those of its texts; an image in high detail counts as 1024 × 1024 pixels.

    `rules.json` has the source of these numbers beside them.
    """

    per_message: int
    per_example: int
    per_name: int
    image_low: int
    image_high: int


class Rules(msgspec.Struct, frozen=True):
    """`methods` maps a method to the formats that it reads; `checked_at`: when the table was last verified."""

    checked_at: date
    ours: OwnLimits
    providers: dict[str, Limits]
    methods: dict[str, list[str]]
    models: list[Model]
    token_formula: TokenFormula

    def limits(self, provider: str) -> Limits:
        """The provider's limits; OpenAI's for a provider that is not in the table, since it speaks OpenAI's wire."""
        return self.providers.get(provider, self.providers["openai"])

    def model(self, name: str) -> Model | None:
        """A base model by snapshot, by alias, or by a model tuned from it (`ft:gpt-4.1-mini-2025-04-14:org::id`)."""
        base = first_base(name)
        return next((model for model in self.models if base in (model.name, model.alias)), None)

    def names(self, name: str) -> set[str]:
        """This name and all others of the same base model: an alias and its snapshot are one model."""
        model = self.model(name)
        return {name} | ({model.name, model.alias or model.name} if model else set())

    def example_limits(self) -> list[int]:
        """All lengths, in tokens, at which some base model truncates examples, in ascending order."""
        return sorted({model.example_tokens for model in self.models if model.example_tokens is not None})


def first_base(name: str) -> str:
    """Return the original base of a model name, since a tuned model can be tuned again: of `ft:base:…`, and of Azure's
    `base.ft-…`."""
    if name.startswith("ft:") and ":" in name[3:]:
        return name.split(":")[1]
    return name.partition(".ft-")[0]


@cache
def rules() -> Rules:
    table = msgspec.json.decode(RULES_FILE.read_bytes())
    for name, limits in table["providers"].items():
        table["providers"][name] = {key: msgspec.convert(limit, Sourced).value for key, limit in limits.items()}
    return msgspec.convert(table, Rules)

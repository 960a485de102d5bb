"""The rules and limits of providers, methods and models, from `rules.json`: they change, the code need not."""

from datetime import date
from functools import cache
from pathlib import Path

import msgspec


class Ours(msgspec.Struct, frozen=True):
    """What Tunery itself can take: no provider says how long a line or how deep an example may be."""

    line_bytes: int
    depth: int
    digits: int
    duplicates_examples: int
    many_messages: int


class Limits(msgspec.Struct, frozen=True):
    file_bytes: int
    min_examples: int
    max_examples: dict[str, int]
    max_image_examples: int
    max_images_per_example: int
    max_image_bytes: int
    max_functions: int
    output_roles: list[str]
    max_output_messages: int


class Model(msgspec.Struct, frozen=True):
    """A base. `example_tokens` is where training cuts an example off; None where nobody says."""

    name: str
    alias: str | None
    encoding: str
    methods: list[str]
    formats: list[str]
    example_tokens: int | None
    retires: date | None


class TokenFormula(msgspec.Struct, frozen=True):
    """What a chat message costs beside its texts; images by their detail, high ones as if of 1024 × 1024."""

    per_message: int
    per_example: int
    per_name: int
    image_low: int
    image_high: int


class Rules(msgspec.Struct, frozen=True):
    checked_at: date
    ours: Ours
    providers: dict[str, Limits]
    methods: dict[str, list[str]]
    models: list[Model]
    token_formula: TokenFormula

    def limits(self, provider: str) -> Limits:
        """Of a provider that is not in the table, those of OpenAI: it is their wire that others speak."""
        return self.providers.get(provider, self.providers["openai"])

    def model(self, name: str) -> Model | None:
        """By snapshot, by alias, or by the base of a tuned model (`ft:gpt-4.1-mini-2025-04-14:org::id`)."""
        base = name.split(":")[1] if name.startswith("ft:") else name
        return next((model for model in self.models if base in (model.name, model.alias)), None)

    def example_limits(self) -> list[int]:
        """Every length at which some base cuts examples off."""
        return sorted({model.example_tokens for model in self.models if model.example_tokens is not None})


@cache
def rules() -> Rules:
    return msgspec.json.decode(Path(__file__).with_name("rules.json").read_bytes(), type=Rules)

"""Prices of training and of inference that the operator sets, where no list has one. `.env.example` explains them."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Method = Literal["supervised", "dpo", "reinforcement"]


Price = Annotated[Decimal, Field(ge=0, le=1_000_000)]


class OwnPrice(BaseModel):
    """USD per million tokens, on `base`, or `*` for all bases of `provider` and what is tuned from them.

    `per_million_tokens` is of training, of all epochs, for jobs of these methods; the others are of questions and
    answers. `cached_input…`: as the rest of the input, if it is not given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: Annotated[str, Field(min_length=1, max_length=64)]
    base: Annotated[str, Field(min_length=1, max_length=256)] = "*"
    methods: Annotated[tuple[Method, ...], Field(min_length=1)] = ("supervised", "dpo")
    per_million_tokens: Price | None = None
    auto_epochs: Annotated[int | None, Field(ge=1, le=50)] = None
    input_per_million_tokens: Price | None = None
    cached_input_per_million_tokens: Price | None = None
    output_per_million_tokens: Price | None = None

    @model_validator(mode="after")
    def _has_a_price(self) -> "OwnPrice":
        has_input, has_output = self.input_per_million_tokens is not None, self.output_per_million_tokens is not None
        if has_input is not has_output:
            raise ValueError("has `input_per_million_tokens` without `output_per_million_tokens`, or the reverse")
        if self.per_million_tokens is None and not has_input:
            raise ValueError("has no `per_million_tokens`, and no prices of input and output")
        return self

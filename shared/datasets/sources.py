"""The origins of a dataset that was not uploaded: a URL to fetch, or another dataset to split."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from shared.errors import Invalid


class UrlSource(BaseModel):
    """An https URL, which the worker fetches. The same addresses are permitted as for webhooks."""

    model_config = ConfigDict(frozen=True)

    url: str


class SplitSource(BaseModel):
    """One part of another dataset, made after the check of that one has succeeded. `fraction` or `count` is set."""

    model_config = ConfigDict(frozen=True)

    split_of: str
    part: Literal["training", "validation"]
    fraction: float | None = None
    count: int | None = None
    seed: int

    def validation_examples(self, examples: int) -> int:
        """Return how many of `examples` are for validation. A `fraction` gives at least 1, at most all but one.

        Raises `Invalid` for a count that leaves no example for training.
        """
        if self.count is None:
            return max(1, min(round((self.fraction or 0) * examples), examples - 1))
        if self.count >= examples:
            raise Invalid(
                f"The dataset has {examples} examples, so {self.count} for validation would leave none for training: "
                "name a smaller count",
                param="split.count",
            )
        return self.count


Source = Annotated[UrlSource | SplitSource, Field(union_mode="left_to_right")]
_source: TypeAdapter[UrlSource | SplitSource] = TypeAdapter(Source)


def read_source(stored: dict[str, object]) -> UrlSource | SplitSource:
    return _source.validate_python(stored)


class Split(BaseModel):
    """How to split: `fraction` (0 to 1) or `count` of the examples are for validation. A `seed` repeats the same split.

    Examples that differ only in case, spaces or punctuation go to the same part, so its size may differ slightly.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    fraction: Annotated[float | None, Field(gt=0, lt=1)] = None
    count: Annotated[int | None, Field(ge=1, le=10_000_000)] = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0

    @model_validator(mode="after")
    def _has_one_size(self) -> "Split":
        if (self.fraction is None) == (self.count is None):
            raise ValueError("give either fraction or count")
        return self

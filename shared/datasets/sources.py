"""Where a dataset's bytes come from when nobody has uploaded them: an address, or another dataset that is split."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from shared.errors import Invalid


class UrlSource(BaseModel):
    """An https address. The worker fetches it, under the same rules as it sends webhooks."""

    model_config = ConfigDict(frozen=True)

    url: str


class SplitSource(BaseModel):
    """One part of another dataset, made once that one has passed its check."""

    model_config = ConfigDict(frozen=True)

    split_of: str
    part: Literal["training", "validation"]
    fraction: float | None = None
    count: int | None = None
    seed: int

    def validation_examples(self, examples: int) -> int:
        """How many examples validation gets, of so many in all; a fraction leaves neither part empty.

        Raises `Invalid` for a count that leaves no example for training.
        """
        if self.count is None:
            return max(1, min(round((self.fraction or 0) * examples), examples - 1))
        if self.count >= examples:
            raise Invalid(
                f"{self.count} examples cannot be kept apart for validation: there are {examples}, and training needs "
                "some of them",
                param="split.count",
            )
        return self.count


Source = Annotated[UrlSource | SplitSource, Field(union_mode="left_to_right")]
_source: TypeAdapter[UrlSource | SplitSource] = TypeAdapter(Source)


def read_source(stored: dict[str, object]) -> UrlSource | SplitSource:
    return _source.validate_python(stored)


class Split(BaseModel):
    """Keep `fraction` of the examples, or `count` of them, apart for validation; the same `seed` gives the same parts.

    Examples that differ only in case, spaces or punctuation stay on one side, so that it may be some more or fewer.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    fraction: Annotated[float | None, Field(gt=0, lt=1)] = None
    count: Annotated[int | None, Field(ge=1, le=10_000_000)] = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0

    @model_validator(mode="after")
    def _says_one_size(self) -> "Split":
        if (self.fraction is None) == (self.count is None):
            raise ValueError("give either fraction or count")
        return self

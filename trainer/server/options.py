"""`provider_options`: what a job may set beyond OpenAI's hyperparameters."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wire_server.errors import from_validation

Module = Annotated[str, Field(min_length=1, max_length=100)]


class Options(BaseModel):
    """`learning_rate` is absolute, and replaces the base's rate times the multiplier."""

    model_config = ConfigDict(extra="forbid", strict=True)

    rank: Annotated[int, Field(ge=1, le=512)] = 16
    alpha: Annotated[float, Field(gt=0, le=2048)] = 32
    dropout: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    targets: Literal["all-linear"] | Annotated[list[Module], Field(min_length=1, max_length=50)] = "all-linear"
    learning_rate: Annotated[float | None, Field(gt=0, le=1)] = None
    max_length: Annotated[int | None, Field(ge=8)] = None
    quantization: Literal["4bit"] | None = None
    full: bool = False
    packing: bool = False
    shard: bool = False
    warmup: Annotated[float, Field(ge=0, le=0.5)] = 0.1


def read(given: dict[str, Any] | None) -> Options:
    """Raises ApiError 400 that names the option."""
    try:
        return Options.model_validate(given or {})
    except ValidationError as error:
        found = [{**problem, "loc": ("body", "provider_options", *problem["loc"])} for problem in error.errors()]
        raise from_validation(found) from None

"""The three ways to tune, with their hyperparameters and bounds, as OpenAI's specification gives them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.jobs.models import Job
from shared.json_fields import JsonObject

Auto = Literal["auto"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Hyperparameters(_Strict):
    """`n_epochs` 1–50, `batch_size` 1–256, `learning_rate_multiplier` > 0; each may be `auto`."""

    n_epochs: Auto | Annotated[int, Field(ge=1, le=50)] | None = None
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] | None = None
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class DpoHyperparameters(Hyperparameters):
    """`beta`: above 0, up to 2; larger stays closer to the reference model."""

    beta: Auto | Annotated[float, Field(gt=0, le=2)] | None = None


class ReinforcementHyperparameters(Hyperparameters):
    compute_multiplier: Auto | Annotated[float, Field(gt=0.00001, le=10)] | None = None
    eval_interval: Auto | Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    eval_samples: Auto | Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    reasoning_effort: Literal["default", "low", "medium", "high"] | None = None


class Supervised(_Strict):
    hyperparameters: Hyperparameters | None = None


class Dpo(_Strict):
    hyperparameters: DpoHyperparameters | None = None


class Reinforcement(_Strict):
    """`grader` is passed on as it is; the provider judges it."""

    grader: JsonObject
    hyperparameters: ReinforcementHyperparameters | None = None
    response_format: JsonObject | None = None


class Method(_Strict):
    """Only the block of the same name as `type` may be given; `reinforcement` needs its grader."""

    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: Supervised | None = None
    dpo: Dpo | None = None
    reinforcement: Reinforcement | None = None

    @model_validator(mode="after")
    def _has_its_grader(self) -> "Method":
        if self.type == "reinforcement" and self.reinforcement is None:
            raise ValueError("method.reinforcement with a grader is required for the type reinforcement")
        return self

    @model_validator(mode="after")
    def _has_no_other_block(self) -> "Method":
        for name in ("supervised", "dpo", "reinforcement"):
            if name != self.type and getattr(self, name) is not None:
                raise ValueError(f"method.{name} does not count for the type {self.type}: use method.{self.type}")
        return self

    def check_same(self, older: Hyperparameters) -> None:
        """Raises `ValueError` if the older field `hyperparameters` says something else than this method."""
        block = getattr(self, self.type)
        said = block.hyperparameters.model_dump() if block and block.hyperparameters else {}
        for name, value in older.model_dump(exclude_none=True).items():
            if value != (said.get(name) or "auto"):
                raise ValueError(f"{name} is not what method says: set method.{self.type}.hyperparameters.{name}")


def resolved_method(job: Job) -> dict[str, Any] | None:
    """The method as it was asked for, with the numbers that the provider has taken where that was `auto`."""
    known = {name: value for name, value in job.hyperparameters.items() if value != "auto"}
    if job.method is None or not known:
        return job.method
    block = job.method.get(job.method["type"]) or {}
    return {
        **job.method,
        job.method["type"]: {**block, "hyperparameters": {**block.get("hyperparameters", {}), **known}},
    }

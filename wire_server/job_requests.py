"""The body of the create call, with exactly the fields and limits of OpenAI's schema."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MAX_METADATA = 16


def _none_if_auto(value: Any) -> Any:
    return None if value == "auto" else value


Auto = BeforeValidator(_none_if_auto)
"""`auto` becomes None: with a union type pydantic would name the union's branch in an error and not the field."""

Key = Annotated[str, Field(max_length=64)]
Value = Annotated[str, Field(max_length=512)]
Metadata = Annotated[dict[Key, Value], Field(max_length=MAX_METADATA)]


class Strict(BaseModel):
    """Refuses unknown fields, and texts in place of numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, str_max_length=4096)


class SupervisedHyperparameters(Strict):
    batch_size: Annotated[int | None, Field(ge=1, le=256), Auto] = None
    learning_rate_multiplier: Annotated[float | None, Field(gt=0), Auto] = None
    n_epochs: Annotated[int | None, Field(ge=1, le=50), Auto] = None

    def on_the_wire(self) -> dict[str, Any]:
        return {name: "auto" if value is None else value for name, value in self.model_dump().items()}


class DpoHyperparameters(SupervisedHyperparameters):
    beta: Annotated[float | None, Field(gt=0, le=2), Auto] = None


class ReinforcementHyperparameters(SupervisedHyperparameters):
    compute_multiplier: Annotated[float | None, Field(gt=0.00001, le=10), Auto] = None
    eval_interval: Annotated[int | None, Field(ge=1), Auto] = None
    eval_samples: Annotated[int | None, Field(ge=1), Auto] = None
    reasoning_effort: Literal["default", "low", "medium", "high"] = "default"


class Supervised(Strict):
    hyperparameters: SupervisedHyperparameters = SupervisedHyperparameters()


class Dpo(Strict):
    hyperparameters: DpoHyperparameters = DpoHyperparameters()


class Reinforcement(Strict):
    """`grader` is echoed, the rewards are drawn. `response_format` is not in the schema, but in the guides."""

    grader: dict[str, Any]
    hyperparameters: ReinforcementHyperparameters = ReinforcementHyperparameters()
    response_format: dict[str, Any] | None = None


class Method(Strict):
    """The method's type and its settings. As at OpenAI, settings of the other types are accepted and ignored."""

    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: Supervised | None = None
    dpo: Dpo | None = None
    reinforcement: Reinforcement | None = None

    def on_the_wire(self) -> dict[str, Any]:
        """The method as a job shows it: only its own settings, with every hyperparameter."""
        block: dict[str, Any] = {}
        if self.type == "reinforcement" and self.reinforcement:
            block = self.reinforcement.model_dump(exclude={"hyperparameters"}, exclude_none=True)
        return {"type": self.type, self.type: block | {"hyperparameters": self._hyperparameters().on_the_wire()}}

    def _hyperparameters(self) -> SupervisedHyperparameters:
        if self.type == "dpo":
            return (self.dpo or Dpo()).hyperparameters
        if self.type == "reinforcement" and self.reinforcement:
            return self.reinforcement.hyperparameters
        return (self.supervised or Supervised()).hyperparameters


class Wandb(Strict):
    project: str
    name: str | None = None
    entity: str | None = None
    tags: list[str] | None = None


class Integration(Strict):
    type: Literal["wandb"]
    wandb: Wandb


class JobCreate(Strict):
    """The body of `POST /v1/fine_tuning/jobs`. Top-level `hyperparameters` are used only without `method`.

    `provider_options` is not OpenAI's: an engine that has none refuses it.
    """

    model: str
    training_file: str
    validation_file: str | None = None
    suffix: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    seed: Annotated[int | None, Field(ge=0, le=2_147_483_647)] = None
    method: Method | None = None
    hyperparameters: SupervisedHyperparameters | None = None
    integrations: Annotated[list[Integration] | None, Field(max_length=5)] = None
    metadata: Metadata | None = None
    provider_options: dict[str, Any] | None = None

    def effective_method(self) -> Method:
        older = Supervised(hyperparameters=self.hyperparameters or SupervisedHyperparameters())
        return self.method or Method(type="supervised", supervised=older)

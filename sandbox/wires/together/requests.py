"""The body of `POST /v1/fine-tunes`, with the fields and limits of Together's reference."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sandbox.wires.together.engine import SUPPORTED, TogetherSandbox, parent_of
from wire_server.errors import ApiError
from wire_server.job_requests import JobCreate

MAX_SUFFIX = 40


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TrainingType(Strict):
    """LoRA of a rank, or `Full`, which has no other field."""

    type: Literal["Lora", "Full"]
    lora_r: Annotated[int | None, Field(ge=1, le=64)] = None
    lora_alpha: Annotated[int | None, Field(ge=1)] = None
    lora_dropout: Annotated[float | None, Field(ge=0, lt=1)] = None
    lora_trainable_modules: str | None = None

    @model_validator(mode="after")
    def _fits(self) -> "TrainingType":
        lora = (self.lora_r, self.lora_alpha)
        if self.type == "Lora" and None in lora:
            raise ValueError("Lora needs lora_r and lora_alpha")
        if self.type == "Full" and any(lora):
            raise ValueError("Full has no lora_r")
        return self


class TrainingMethod(Strict):
    method: Literal["sft", "dpo"]
    train_on_inputs: bool | Literal["auto"] | None = None
    dpo_beta: float | None = None
    dpo_normalize_logratios_by_length: bool | None = None
    dpo_reference_free: bool | None = None
    rpo_alpha: float | None = None
    simpo_gamma: float | None = None


class FineTuneCreate(Strict):
    """`lr_scheduler`, `multimodal_params` and what is about Hugging Face or W&B are accepted and ignored."""

    training_file: str
    validation_file: str | None = None
    model: str | None = None
    from_checkpoint: str | None = None
    n_epochs: Annotated[int, Field(ge=1, le=50)] = 1
    n_evals: Annotated[int, Field(ge=0, le=100)] = 0
    n_checkpoints: Annotated[int, Field(ge=1, le=50)] = 1
    batch_size: Annotated[int, Field(ge=1, le=256)] | Literal["max"] = "max"
    gradient_accumulation_steps: int | None = None
    learning_rate: Annotated[float, Field(gt=0, le=0.01)] = 0.00001
    lr_scheduler: dict[str, Any] | None = None
    warmup_ratio: Annotated[float, Field(ge=0, le=1)] = 0
    max_grad_norm: Annotated[float, Field(ge=0)] = 1
    weight_decay: Annotated[float, Field(ge=0)] = 0
    packing: bool = True
    max_seq_length: Annotated[int | None, Field(ge=8)] = None
    random_seed: int | None = None
    suffix: Annotated[str | None, Field(max_length=MAX_SUFFIX)] = None
    training_type: TrainingType | None = None
    training_method: TrainingMethod = TrainingMethod(method="sft", train_on_inputs="auto")
    multimodal_params: dict[str, Any] | None = None
    early_stopping_enabled: bool = False
    early_stopping_patience: Annotated[int | None, Field(ge=1)] = None
    early_stopping_min_delta: Annotated[float | None, Field(ge=0)] = None
    early_stopping_warmup_evals: Annotated[int | None, Field(ge=0)] = None
    from_hf_model: str | None = None
    hf_model_revision: str | None = None
    hf_api_token: str | None = None
    hf_output_repo_name: str | None = None
    wandb_key: str | None = None
    wandb_base_url: str | None = None
    wandb_project_name: str | None = None
    wandb_name: str | None = None
    wandb_entity: str | None = None

    @model_validator(mode="after")
    def _can_stop_early(self) -> "FineTuneCreate":
        patience = 2 if self.early_stopping_patience is None else self.early_stopping_patience
        warmup = 1 if self.early_stopping_warmup_evals is None else self.early_stopping_warmup_evals
        if self.early_stopping_enabled and not self.validation_file:
            raise ValueError("early stopping needs a validation file")
        if self.early_stopping_enabled and self.n_evals < patience + warmup + 1:
            raise ValueError(f"early stopping needs n_evals of at least {patience + warmup + 1}")
        return self


def job_create(state: TogetherSandbox, new: FineTuneCreate) -> JobCreate:
    """What the engine is asked for. Raises ApiError 400 for a model that cannot be tuned."""
    numbers: dict[str, Any] = {"n_epochs": new.n_epochs}
    if new.batch_size != "max":
        numbers["batch_size"] = new.batch_size
    kind = "dpo" if new.training_method.method == "dpo" else "supervised"
    if kind == "dpo" and new.training_method.dpo_beta:
        numbers["beta"] = new.training_method.dpo_beta
    return JobCreate.model_validate(
        {
            "model": _model(state, new),
            "training_file": new.training_file,
            "validation_file": new.validation_file if new.n_evals else None,
            "seed": new.random_seed,
            "method": {"type": kind, kind: {"hyperparameters": numbers}},
        }
    )


def _model(state: TogetherSandbox, new: FineTuneCreate) -> str:
    if (new.model is None) == (new.from_checkpoint is None):
        raise ApiError(400, "Give either model or from_checkpoint.", param="model")
    if new.model is not None:
        if new.model not in SUPPORTED:
            raise ApiError(400, f"The model {new.model} is not supported for fine-tuning.", param="model")
        return new.model
    parent = parent_of(state, new.model_dump())
    step = str(new.from_checkpoint).partition(":")[2]
    kept = {str(each.step_number): each.fine_tuned_model_checkpoint for each in parent.checkpoints} if parent else {}
    name = kept.get(step) if step else (parent.job.fine_tuned_model if parent else None)
    if parent is None or name is None:
        raise ApiError(400, f"There is no checkpoint {new.from_checkpoint}.", param="from_checkpoint")
    return name


def given(new: FineTuneCreate) -> dict[str, Any]:
    """What is kept of the body."""
    return new.model_dump(exclude={"hf_api_token", "wandb_key"}, exclude_none=True)

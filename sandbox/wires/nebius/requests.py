"""The body of Nebius' create call, and its refusals."""

from typing import Annotated, Any

from pydantic import Field
from starlette.responses import Response

from sandbox.wires.nebius.engine import TRAINED
from wire_server.answers import answer
from wire_server.errors import ApiError
from wire_server.job_requests import JobCreate, Metadata, Method, Strict, Supervised, SupervisedHyperparameters


class NebiusHyperparameters(Strict):
    n_epochs: Annotated[int, Field(ge=1, le=20)] = 3
    batch_size: Annotated[int, Field(ge=1, le=32)] = 8
    learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    learning_rate_multiplier: Annotated[float | None, Field(gt=0)] = None
    """A rate too, whatever its name says."""
    warmup_ratio: Annotated[float, Field(ge=0, le=1)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    packing: bool = True
    context_length: Annotated[int, Field(ge=8192, le=131_072)] = 8192
    lora: bool = False
    lora_r: Annotated[int, Field(ge=8, le=128)] = 8
    lora_alpha: Annotated[float, Field(gt=0)] = 8
    lora_dropout: Annotated[float, Field(ge=0, le=1)] = 0.0


class NebiusCreate(Strict):
    model: str
    training_file: str
    validation_file: str | None = None
    suffix: Annotated[str | None, Field(max_length=64)] = None
    seed: int | None = None
    hyperparameters: NebiusHyperparameters | None = None
    method: Any = None
    integrations: list[dict[str, Any]] | None = None
    metadata: Metadata | None = None

    def for_the_engine(self, keeps_metadata: bool) -> JobCreate:
        """Raises ApiError 400 if the method is named: all are trained by supervision."""
        if self.method is not None:
            raise ApiError(400, "Only one of 'method' or 'hyperparameters' can be given.", param="method")
        asked = self.hyperparameters or NebiusHyperparameters()
        common = SupervisedHyperparameters(n_epochs=asked.n_epochs, batch_size=asked.batch_size)
        return JobCreate(
            model=self.model,
            training_file=self.training_file,
            validation_file=self.validation_file,
            suffix=self.suffix,
            seed=self.seed,
            method=Method(type="supervised", supervised=Supervised(hyperparameters=common)),
            metadata=self.metadata if keeps_metadata else None,
        )


def refused_model() -> Response:
    """In the form of an older pydantic, as an enumeration is refused."""
    permitted = ", ".join(f"'{name}'" for name in TRAINED)
    message = f"value is not a valid enumeration member; permitted: {permitted}"
    return answer({"detail": [{"loc": ["body", "model"], "msg": message, "type": "type_error.enum"}]}, 422)

"""POST /v1/fine_tuning/jobs: every parameter beyond its bounds is refused by its name, and makes no job."""

from typing import Any

import pytest
from openai import BadRequestError

from tests.api.module_person import alice
from tests.world import Person

__all__ = ["alice"]

GRADER = {"type": "string_check", "name": "n", "input": "i", "reference": "r", "operation": "eq"}


@pytest.fixture(scope="module")
def training_file(alice: Person) -> str:
    return alice.upload()


def _each(values: dict[str, tuple[Any, ...]]) -> list[tuple[str, Any]]:
    return [(name, value) for name, several in values.items() for value in several]


def _hyperparameters(method: str, **values: Any) -> dict[str, Any]:
    grader = {"grader": GRADER} if method == "reinforcement" else {}
    return {"method": {"type": method, method: {**grader, "hyperparameters": values}}}


OUT_OF_BOUNDS: dict[str, tuple[Any, ...]] = {
    "n_epochs": (0, 51, 1.5, -1, "many", "AUTO", "3", True, [], 10**30),
    "batch_size": (0, 257, 2.5, "many"),
    "learning_rate_multiplier": (0, -0.1, "fast", "1", True, {}),
}
BOUNDS: list[tuple[str, str, Any]] = [
    *((method, *pair) for method in ("supervised", "dpo", "reinforcement") for pair in _each(OUT_OF_BOUNDS)),
    *(("dpo", *pair) for pair in _each({"beta": (0, 2.001, "low"), "eval_interval": (1,)})),
    ("supervised", "beta", 0.1),
    ("reinforcement", "beta", 0.1),
    ("reinforcement", "compute_multiplier", 0.00001),
    ("reinforcement", "compute_multiplier", 10.001),
    ("reinforcement", "eval_interval", 0),
    ("reinforcement", "eval_samples", 0),
    ("reinforcement", "reasoning_effort", "extreme"),
]


@pytest.mark.parametrize(("method", "name", "value"), BOUNDS)
def test_a_hyperparameter_out_of_its_bounds_is_named(
    alice: Person, training_file: str, method: str, name: str, value: Any
) -> None:
    with pytest.raises(BadRequestError) as refused:
        alice.create_job(training_file=training_file, **_hyperparameters(method, **{name: value}))
    assert refused.value.param == f"method.{method}.hyperparameters.{name}"
    assert refused.value.code in {"invalid_value", "unknown_parameter"}
    assert alice.openai.fine_tuning.jobs.list().data == []


DPO: dict[str, Any] = {"hyperparameters": {"n_epochs": 2}}
WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"method": {"type": "dpo", "supervised": DPO}}, "invalid_value", "method"),
    ({"method": {"type": "dpo", "supervised": DPO, "dpo": DPO}}, "invalid_value", "method"),
    ({"method": {"type": "supervised", "reinforcement": {"grader": GRADER}}}, "invalid_value", "method"),
    ({"method": {"type": "dpo"}, "hyperparameters": {"n_epochs": 3}}, "invalid_value", "hyperparameters"),
    ({"method": {"type": "dpo", "dpo": DPO}, "hyperparameters": {"n_epochs": 3}}, "invalid_value", "hyperparameters"),
    ({"model": ""}, "invalid_value", "model"),
    ({"model": None}, "missing_required_parameter", "model"),
    ({"model": "m" * 257}, "invalid_value", "model"),
    ({"suffix": ""}, "invalid_value", "suffix"),
    ({"suffix": "s" * 65}, "invalid_value", "suffix"),
    ({"seed": -1}, "invalid_value", "seed"),
    ({"seed": 2**31}, "invalid_value", "seed"),
    ({"seed": 1.5}, "invalid_value", "seed"),
    ({"seed": "1"}, "invalid_value", "seed"),
    ({"seed": True}, "invalid_value", "seed"),
    ({"hyperparameters": {"n_epochs": 51}}, "invalid_value", "hyperparameters.n_epochs"),
    ({"hyperparameters": {"beta": 1}}, "unknown_parameter", "hyperparameters.beta"),
    ({"method": {}}, "missing_required_parameter", "method.type"),
    ({"method": {"type": "magic"}}, "invalid_value", "method.type"),
    ({"method": {"type": "dpo", "magic": {}}}, "unknown_parameter", "method.magic"),
    ({"method": {"type": "reinforcement"}}, "invalid_value", "method"),
    (
        {"method": {"type": "reinforcement", "reinforcement": {}}},
        "missing_required_parameter",
        "method.reinforcement.grader",
    ),
    ({"integrations": [{"type": "wandb"}]}, "missing_required_parameter", "integrations.0.wandb"),
    ({"integrations": [{"type": "wandb", "wandb": {}}]}, "missing_required_parameter", "integrations.0.wandb.project"),
    ({"integrations": [{"type": "mlflow", "wandb": {"project": "p"}}]}, "invalid_value", "integrations.0.type"),
    ({"integrations": [{"type": "wandb", "wandb": {"project": "p"}}] * 6}, "invalid_value", "integrations"),
    ({"metadata": {f"k{number}": "v" for number in range(17)}}, "invalid_value", "metadata"),
    ({"metadata": {"k": "v" * 513}}, "invalid_value", "metadata.k"),
    ({"metadata": {"k": 1}}, "invalid_value", "metadata.k"),
    ({"metadata": []}, "invalid_value", "metadata"),
    ({"training_file": None}, "missing_required_parameter", "training_file"),
    ({"training_file": "f" * 65}, "invalid_value", "training_file"),
    ({"n_epochs": 3}, "unknown_parameter", "n_epochs"),
]


@pytest.mark.parametrize(("values", "code", "param"), WRONG, ids=lambda value: str(value)[:60])
def test_a_wrong_parameter_is_named(
    alice: Person, training_file: str, values: dict[str, Any], code: str, param: str
) -> None:
    body = {"model": "gpt-4o-mini", "training_file": training_file, **values}
    error = alice.http.post("/fine_tuning/jobs", json=body)
    assert error.status_code == 400
    assert (error.json()["error"]["code"], error.json()["error"]["param"]) == (code, param)
    assert alice.openai.fine_tuning.jobs.list().data == []


@pytest.mark.parametrize("missing", ["model", "training_file"])
def test_what_is_missing_is_named(alice: Person, missing: str) -> None:
    body = {"model": "gpt-4o-mini", "training_file": "file-x"}
    del body[missing]
    error = alice.http.post("/fine_tuning/jobs", json=body).json()["error"]
    assert (error["code"], error["param"]) == ("missing_required_parameter", missing)


def test_hyperparameters_may_be_said_twice_if_they_are_the_same(alice: Person) -> None:
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}
    job_id = alice.create_job(method=method, hyperparameters={"n_epochs": 2, "batch_size": "auto"})
    assert alice.openai.fine_tuning.jobs.retrieve(job_id).hyperparameters.n_epochs == 2

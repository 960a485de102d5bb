"""The create of a job, in the wire's words."""

from typing import Any

from worker.providers.errors import unsupported
from worker.providers.fireworks import names
from worker.providers.protocol import NewJob

_UNKNOWN = "Fireworks AI does not know"
_OPTIONS = {
    "learning_rate": "learningRate",
    "rank": "loraRank",
    "max_length": "maxContextLength",
    "warmup_steps": "learningRateWarmupSteps",
    "weight_decay": "optimizerWeightDecay",
}
"""`provider_options` by their field there; `early_stop` is a supervised job's alone."""


def creation(job: NewJob, account: str) -> tuple[str, dict[str, Any]]:
    """The kind of the job, and what is sent. Raises `ProviderError` for what it cannot do."""
    settings, options, beta = _settings(job, account), job.provider_options, job.hyperparameters.get("beta")
    body: dict[str, Any] = {"dataset": f"accounts/{account}/datasets/{job.training_file}", "displayName": job.suffix}
    body["wandbConfig"] = _wandb(job)
    if job.method_type == "supervised":
        body |= settings | {"earlyStop": options.get("early_stop")}
        if job.validation_file is not None:
            body["evaluationDataset"] = f"accounts/{account}/datasets/{job.validation_file}"
        return names.SUPERVISED, _said(body)
    if job.method_type != "dpo":
        raise unsupported(f"{_UNKNOWN} a job by {job.method_type}", "method")
    if job.validation_file is not None:
        raise unsupported(f"{_UNKNOWN} a validation file of a dpo job", "validation_file")
    if "early_stop" in options:
        raise unsupported(f"{_UNKNOWN} early_stop of a dpo job", "provider_options.early_stop")
    loss = {"method": "DPO", "dpo": {"beta": beta} if beta is not None else None}
    return names.PREFERENCE, _said(body) | {"trainingConfig": _said(settings), "lossConfig": _said(loss)}


def _settings(job: NewJob, account: str) -> dict[str, Any]:
    return {
        "warmStartFrom" if job.is_tuned else "baseModel": job.model,
        "outputModel": f"accounts/{account}/models/{names.model_id(job)}",
        "epochs": job.hyperparameters.get("n_epochs"),
        "batchSizeSamples": job.hyperparameters.get("batch_size"),
        **{field: job.provider_options.get(name) for name, field in _OPTIONS.items()},
    }


def _wandb(job: NewJob) -> dict[str, Any] | None:
    """The key of W&B is the account's at the provider: none passes through here."""
    wanted = next((each["wandb"] for each in job.integrations or () if each.get("type") == "wandb"), None)
    if wanted is None:
        return None
    if wanted.get("name") or wanted.get("tags"):
        raise unsupported(f"{_UNKNOWN} name and tags of a run at W&B", "integrations")
    return _said({"enabled": True, "project": wanted.get("project"), "entity": wanted.get("entity")})


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    """What the caller left out is not sent."""
    return {name: value for name, value in fields.items() if value is not None}

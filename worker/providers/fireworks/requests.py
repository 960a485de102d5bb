"""The create of a job, in the wire's words."""

from typing import Any

from worker.providers.errors import ProviderError
from worker.providers.fireworks import names
from worker.providers.protocol import NewJob

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
    method = job.method or {"type": "supervised"}
    is_supervised = method["type"] == "supervised"
    given = (method.get(method["type"]) or {}).get("hyperparameters") or {}
    chosen = {name: value for name, value in given.items() if value != "auto"}
    settings = _settings(job, chosen, account)
    options = job.provider_options
    body: dict[str, Any] = {"dataset": f"accounts/{account}/datasets/{job.training_file}", "displayName": job.suffix}
    body["wandbConfig"] = _wandb(job)
    if is_supervised:
        body |= settings | {"earlyStop": options.get("early_stop")}
        if job.validation_file is not None:
            body["evaluationDataset"] = f"accounts/{account}/datasets/{job.validation_file}"
        return names.SUPERVISED, _said(body)
    if method["type"] != "dpo":
        raise _unsupported(f"a job by {method['type']}", "method")
    if job.validation_file is not None:
        raise _unsupported("a validation file of a dpo job", "validation_file")
    if "early_stop" in options:
        raise _unsupported("early_stop of a dpo job", "provider_options.early_stop")
    loss = {"method": "DPO", "dpo": {"beta": chosen["beta"]} if "beta" in chosen else None}
    return names.PREFERENCE, _said(body) | {"trainingConfig": _said(settings), "lossConfig": _said(loss)}


def _settings(job: NewJob, chosen: dict[str, Any], account: str) -> dict[str, Any]:
    return {
        "warmStartFrom" if job.is_tuned else "baseModel": job.model,
        "outputModel": f"accounts/{account}/models/{names.model_id(job)}",
        "epochs": chosen.get("n_epochs"),
        "batchSizeSamples": chosen.get("batch_size"),
        **{field: job.provider_options.get(name) for name, field in _OPTIONS.items()},
    }


def _wandb(job: NewJob) -> dict[str, Any] | None:
    """The key of W&B is the account's at the provider: none passes through here."""
    wanted = next((each["wandb"] for each in job.integrations or () if each.get("type") == "wandb"), None)
    if wanted is None:
        return None
    if wanted.get("name") or wanted.get("tags"):
        raise _unsupported("name and tags of a run at W&B", "integrations")
    return _said({"enabled": True, "project": wanted.get("project"), "entity": wanted.get("entity")})


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    """What the caller left out is not sent."""
    return {name: value for name, value in fields.items() if value is not None}


def _unsupported(what: str, param: str) -> ProviderError:
    return ProviderError(f"Fireworks AI does not know {what}", "unsupported_by_provider", retryable=False, param=param)

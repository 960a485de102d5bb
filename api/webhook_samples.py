"""A sample of each event's object: for tests of an endpoint, and as the examples of the documentation."""

from typing import Any

from shared.webhooks.event_types import EventType

_MADE_AT = 1_790_000_000
_JOB: dict[str, Any] = {
    "id": "ftjob-sample",
    "object": "fine_tuning.job",
    "created_at": _MADE_AT,
    "error": None,
    "fine_tuned_model": None,
    "finished_at": None,
    "hyperparameters": {"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 2.0},
    "model": "gpt-4.1-mini-2025-04-14",
    "organization_id": "org-sample",
    "result_files": [],
    "status": "running",
    "trained_tokens": None,
    "training_file": "file-sample",
    "validation_file": None,
    "seed": 42,
    "integrations": None,
    "estimated_finish": _MADE_AT + 1800,
    "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}},
    "metadata": None,
    "user_provided_suffix": None,
    "project_id": "proj_sample",
    "provider": "openai",
    "provider_job_id": "ftjob-theirs",
    "progress": 0.5,
    "check_progress": None,
    "estimated_cost": {"amount": "0.42", "currency": "USD", "tokens": 84_000},
    "cost": None,
    "priority": "normal",
    "queue_position": None,
    "estimated_start": None,
}
_ENDED = {**_JOB, "finished_at": _MADE_AT + 1700, "estimated_finish": None}
_DATASET: dict[str, Any] = {
    "id": "file-sample",
    "object": "dataset",
    "created_at": _MADE_AT,
    "name": None,
    "filename": "train.jsonl",
    "bytes": 12_345,
    "sha256": "0" * 64,
    "status": "processed",
    "status_details": None,
    "progress": None,
    "source": None,
    "metadata": None,
    "valid": True,
    "format": "chat",
    "examples": 50,
    "counts": {},
    "tokens_counted": False,
    "statistics": None,
    "training_dataset": None,
    "validation_dataset": None,
    "jobs": [],
}
_ENDPOINT = {
    "id": "we_sample",
    "object": "webhook_endpoint",
    "created_at": _MADE_AT,
    "updated_at": _MADE_AT,
    "name": "build server",
    "url": "https://hooks.example.com/tunery",
    "event_types": ["fine_tuning.job.succeeded"],
    "signing_secret_hint": "whsec_…abcd=",
    "full_payloads": False,
    "enabled": False,
    "disabled_at": _MADE_AT + 432_000,
    "disabled_reason": "failing",
    "failing_since": _MADE_AT,
    "missed_since": _MADE_AT,
}
_SAMPLES: dict[EventType, dict[str, Any]] = {
    EventType.JOB_CREATED: {**_JOB, "status": "validating_files", "progress": None, "provider_job_id": None},
    EventType.JOB_QUEUED: {**_JOB, "status": "queued", "progress": None},
    EventType.JOB_RUNNING: _JOB,
    EventType.JOB_PAUSED: {**_JOB, "status": "paused"},
    EventType.JOB_PROGRESSED: _JOB,
    EventType.JOB_CHECKPOINT_CREATED: {
        "id": "ftckpt_sample",
        "object": "fine_tuning.job.checkpoint",
        "created_at": _MADE_AT,
        "fine_tuned_model_checkpoint": "ft:gpt-4.1-mini-2025-04-14:acme::sample:ckpt-step-50",
        "fine_tuning_job_id": "ftjob-sample",
        "step_number": 50,
        "metrics": {"step": 50, "train_loss": 0.61},
    },
    EventType.JOB_SUCCEEDED: {
        **_ENDED,
        "status": "succeeded",
        "progress": 1.0,
        "fine_tuned_model": "ft:gpt-4.1-mini-2025-04-14:acme::sample",
        "trained_tokens": 84_000,
        "cost": {"amount": "0.42", "currency": "USD", "tokens": 84_000},
    },
    EventType.JOB_FAILED: {
        **_ENDED,
        "status": "failed",
        "error": {"code": "invalid_training_file", "message": "The file has 3 errors", "param": "training_file"},
    },
    EventType.JOB_CANCELLED: {**_ENDED, "status": "cancelled"},
    EventType.DATASET_PROCESSED: _DATASET,
    EventType.DATASET_FAILED: {
        **_DATASET,
        "status": "error",
        "valid": False,
        "status_details": "Line 7: no messages",
        "counts": {"missing_messages_list": 1},
    },
    EventType.MODEL_SHUTDOWN_SCHEDULED: {
        "id": "ft:gpt-4.1-mini-2025-04-14:acme::sample",
        "object": "model",
        "created": _MADE_AT,
        "owned_by": "proj_sample",
        "shutdown_date": "2027-01-14",
    },
    EventType.API_KEY_EXPIRING: {
        "id": "key_sample",
        "object": "organization.project.api_key",
        "name": "build server",
        "redacted_value": "sk-tun-abc…wxyz",
        "created_at": _MADE_AT,
        "expires_at": _MADE_AT + 604_800,
    },
    EventType.ENDPOINT_DISABLED: _ENDPOINT,
}


def sample(type: EventType) -> dict[str, Any]:
    """The object that an event of this type is about, as the API would give it."""
    return _SAMPLES[type]

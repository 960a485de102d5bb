"""How Fireworks AI's wire looks: what the conformance suite asks of its stand-in."""

from typing import Any

from shared.jobs.models import JobStatus
from tests.providers.refusals import Refused

BASE = "/v1/accounts/{account}"
_DATASETS = f"{BASE}/datasets"
_JOBS = f"{BASE}/{{kind}}"
_NO_PARTS = "a file goes whole, also a large one"


def _page(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Of every list. Its token is that of its last item, so that the page after it has another."""
    token = f"after-{items[-1]['name']}" if items else "more"
    return dict.fromkeys(("datasets", "supervisedFineTuningJobs", "models"), items) | {"nextPageToken": token}


def _models(models: list[dict[str, Any]]) -> dict[str, Any]:
    named = [{"name": model["id"], "createTime": model.get("created")} for model in models]
    return {"models": named, "nextPageToken": ""}


def _refusal(status: int, number: int, message: str, *expected: Any) -> Refused:
    return Refused({"status": status, "body": {"code": number, "message": message, "details": []}}, *expected)


FIELDS: dict[str, Any] = {
    "name": "fireworks",
    "wire": "fireworks",
    "base": "/v1/accounts/sandbox",
    "calls": {
        "list_base_models": ("GET", "/v1/accounts/fireworks/models"),
        "delete_model": ("DELETE", f"{BASE}/models/{{model}}"),
        "create_file": ("POST", f"{_DATASETS}/{{dataset}}:upload"),  # the last call of two
        "find_file": ("GET", f"{_DATASETS}/{{dataset}}"),
        "list_files": ("GET", _DATASETS),
        "delete_file": ("DELETE", f"{_DATASETS}/{{dataset}}"),
        "file_name": ("GET", f"{_DATASETS}/{{dataset}}"),
        "read_file": ("GET", f"{_DATASETS}/{{dataset}}:getDownloadEndpoint"),
        "create_job": ("POST", f"{BASE}/supervisedFineTuningJobs"),
        "find_jobs": ("GET", f"{BASE}/supervisedFineTuningJobs/{{job}}"),
        "job_pages": ("GET", f"{BASE}/supervisedFineTuningJobs"),
        "list_jobs": ("GET", f"{BASE}/supervisedFineTuningJobs"),
        "get_job": ("GET", f"{BASE}/supervisedFineTuningJobs/{{job}}"),
        "cancel_job": ("POST", f"{BASE}/supervisedFineTuningJobs/{{job}}:cancel"),
        "resume_job": ("POST", f"{BASE}/supervisedFineTuningJobs/{{job}}:resume"),
        "create_deployment": ("POST", f"{BASE}/deployments"),
        "find_deployments": ("GET", f"{BASE}/deployments/{{deployment}}"),
        "advance_deployment": ("GET", f"{BASE}/deployments/{{deployment}}"),
        "delete_deployment": ("DELETE", f"{BASE}/deployments/{{deployment}}"),
        "list_deployments": ("GET", f"{BASE}/deployments"),
        "new_events": ("GET", f"{BASE}/supervisedFineTuningJobs/{{job}}"),
    },
    "odd_deployments": [
        *(None, [], "<html>", 5, {}),
        *({"deployments": None}, {"deployments": [5]}, {"deployments": [{"name": None}]}),
    ],
    "lacks": {
        "job_slots": "it does not say how many jobs may run at once",
        "create_upload": _NO_PARTS,
        "create_part": _NO_PARTS,
        "complete_upload": _NO_PARTS,
        "pause_job": "only the provider itself pauses jobs",
        "checkpoints": "its jobs list none",
    },
    "page": _page,
    "item": lambda number: {"name": f"accounts/sandbox/any/x-{number}"},
    "models": _models,
    "found": lambda job: job,
    "listed": "supervisedFineTuningJobs",
    "id_field": "name",
    "odd_jobs": [
        {"baseModel": None, "status": None, "jobProgress": None, "epochs": None, "trainingConfig": None},
        {"baseModel": 4, "status": "none", "jobProgress": "auto", "epochs": "many", "dataset": 7},
        {"jobProgress": {"inputTokens": "-1", "percent": 1e300}, "createTime": "today", "completedTime": 1893456000000},
        {"jobProgress": {"inputTokens": 0.5, "epoch": []}, "completedTime": "9999-99-99T00:00:00Z", "baseModel": {}},
        {"status": {}, "estimatedCost": {"units": "many"}, "evaluationDataset": {}, "metricsFileSignedUrl": 5},
        {"outputModel": "", "status": {"code": 99}, "something_new": {"of": ["tomorrow"]}, "lossConfig": {"dpo": 5}},
    ],
    "attributes": {
        "baseModel": "model",
        "dataset": "training_file",
        "outputModel": "fine_tuned_model",
        "completedTime": "finished_at",
    },
    "status_field": lambda word: {"state": word},
    "failed": lambda error: {"state": "JOB_STATE_FAILED", "status": {"code": "INTERNAL", "message": error["message"]}},
    "succeeded": lambda model: {"state": "JOB_STATE_COMPLETED", "outputModel": model},
    "error_names": ("message",),
    "max_pages": "worker.providers.rest.pages.MAX_PAGES",
    "model": "accounts/fireworks/models/qwen3-8b",
    "first_status": JobStatus.QUEUED,
    "marks_all": False,
    "files_expire": False,
    "creates_once": True,
    "wordless": frozenset({"cancel_job"}),
    "unsaid": {
        "seed": "it has none",
        "bytes": "a dataset has no size",
        "estimated_finish": "a job only has a percentage",
        "shutdown_date": "it comes in parts",
    },
    "unlisted": {"new_events": "its events are made of what a job shows"},
    "repeats_events": True,
    "refusals": {
        "quota": _refusal(429, 8, "quota exceeded", "insufficient_quota", False, False, "has to be topped up"),
        "suspended": _refusal(412, 9, "Account is suspended", "insufficient_quota", False, True, "has to be topped up"),
        "rate": _refusal(429, 8, "Too many requests", "rate_limit_exceeded", True, False, "Too many"),
        "argument": _refusal(400, 3, "invalid epochs", "invalid_argument", False, False, "invalid epochs"),
        "denied": _refusal(403, 7, "no access", "permission_denied", False, False, "no access"),
        "internal": _refusal(500, 13, "it broke", "internal", True, True, "it broke"),
    },
}

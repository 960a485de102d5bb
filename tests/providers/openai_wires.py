"""The fields of a `StandIn` for the providers that speak OpenAI's wire, or a part of it."""

from collections.abc import Mapping
from typing import Any

from shared.jobs.models import JobStatus

_JOBS = "/v1/fine_tuning/jobs"
_OPENAI_CALLS = {
    "list_base_models": ("GET", "/v1/models"),
    "job_slots": ("GET", "/v1/fine_tuning/model_limits"),
    "delete_model": ("DELETE", "/v1/models/*"),
    "create_file": ("POST", "/v1/files"),
    "find_file": ("GET", "/v1/files"),
    "list_files": ("GET", "/v1/files"),
    "delete_file": ("DELETE", "/v1/files/*"),
    "file_name": ("GET", "/v1/files/*"),
    "read_file": ("GET", "/v1/files/*/content"),
    "create_upload": ("POST", "/v1/uploads"),
    "create_part": ("POST", "/v1/uploads/*/parts"),
    "complete_upload": ("POST", "/v1/uploads/*/complete"),
    "create_job": ("POST", _JOBS),
    "find_jobs": ("GET", _JOBS),
    "job_pages": ("GET", _JOBS),
    "list_jobs": ("GET", _JOBS),
    "get_job": ("GET", f"{_JOBS}/*"),
    "cancel_job": ("POST", f"{_JOBS}/*/cancel"),
    "pause_job": ("POST", f"{_JOBS}/*/pause"),
    "resume_job": ("POST", f"{_JOBS}/*/resume"),
    "new_events": ("GET", f"{_JOBS}/*/events"),
    "checkpoints": ("GET", f"{_JOBS}/*/checkpoints"),
}
_ODD_OPENAI_JOBS: list[dict[str, Any]] = [
    {"model": None, "seed": None, "error": None, "hyperparameters": None, "method": None, "metadata": None},
    {"model": 4, "seed": "seven", "error": "none", "hyperparameters": "auto", "method": "dpo", "metadata": "none"},
    {"trained_tokens": -1, "seed": 2**31, "created_at": "today", "estimated_finish": 1893456000000},
    {"trained_tokens": 0.5, "seed": 1e300, "finished_at": -1, "result_files": 5, "training_file": 7},
    {"error": {}, "result_files": [None, 5, ""], "method": {"type": 5}, "validation_file": {}, "error_code": []},
    {"fine_tuned_model": "", "something_new": {"of": ["tomorrow"]}},
]


def fields(name: str, lacks: Mapping[str, str] = {}, base: str = "/v1", **others: Any) -> dict[str, Any]:
    """`others`: in what else a provider differs that speaks OpenAI's wire; `calls` are those that it has besides."""
    calls = {method: (verb, base + path.removeprefix("/v1")) for method, (verb, path) in _OPENAI_CALLS.items()}
    calls |= others.pop("calls", {})
    return dict(
        name=name,
        base=base,
        calls={method: call for method, call in calls.items() if method not in lacks},
        lacks=lacks,
        page=lambda items: {"object": "list", "data": items, "has_more": True},
        item=lambda number: {"id": f"file-{number}", "fine_tuned_model_checkpoint": f"ft:{number}", "step_number": 1},
        odd_jobs=_ODD_OPENAI_JOBS,
        status_field=lambda word: {"status": word},
        max_pages="worker.providers.rest.pages.MAX_PAGES",
        **others,
    )


_NO_UPLOADS = dict.fromkeys(("create_upload", "create_part", "complete_upload"), "no route of it is known")
_NO_PAUSE = dict.fromkeys(("pause_job", "resume_job"), "its jobs run to their end")
_NO_SLOTS = {"job_slots": "it does not say how many jobs it runs at once"}
_AZURE: dict[str, Any] = {"wire": "azure", "first_status": JobStatus.QUEUED}
AZURE = fields("azure", lacks=_NO_SLOTS, base="/openai/v1", **_AZURE)
AZURE_PROJECT = fields(
    "azure-project",
    lacks={**_NO_SLOTS, **dict.fromkeys(_NO_UPLOADS, "the address of a project answers 404")},
    base="/api/projects/tutors/openai/v1",
    **_AZURE,
)
_DEPLOYMENTS = (
    "/subscriptions/sub/resourceGroups/group/providers/Microsoft.CognitiveServices/accounts/resource/deployments"
)
AZURE_APPLICATION = fields(
    "azure-application",
    lacks=_NO_SLOTS,
    base="/openai/v1",
    calls={
        "create_deployment": ("PUT", f"{_DEPLOYMENTS}/*"),
        "find_deployments": ("GET", f"{_DEPLOYMENTS}/*"),
        "advance_deployment": ("GET", f"{_DEPLOYMENTS}/*"),
        "delete_deployment": ("DELETE", f"{_DEPLOYMENTS}/*"),
        "list_deployments": ("GET", _DEPLOYMENTS),
    },
    odd_deployments=[None, [], "<html>", 5, {}, {"value": None}, {"value": [5]}, {"value": [{"name": None}]}],
    options=(
        ("tenant_id", "tenant"),
        ("client_id", "client"),
        ("subscription_id", "sub"),
        ("resource_group", "group"),
        ("account", "resource"),
    ),
    **_AZURE,
)
MANTLE = fields(
    "mantle",
    lacks={**_NO_UPLOADS, **_NO_PAUSE, **_NO_SLOTS, "job_pages": "its list shows old statuses"},
    wire="mantle",
    model="openai.gpt-oss-20b",
    files_expire=False,
    unsaid={"seed": "none is sent"},
    is_marked=False,
    switches={"least_rows": 1},
)
NEBIUS = fields(
    "nebius",
    lacks={
        **_NO_UPLOADS,
        **_NO_PAUSE,
        **_NO_SLOTS,
        "delete_model": "a model is there only while it is deployed",
    },
    calls={
        "create_deployment": ("POST", "/v0/models"),
        "find_deployments": ("GET", "/v0/models"),
        "advance_deployment": ("GET", "/v0/models/**"),
        "delete_deployment": ("DELETE", "/v0/models/**"),
        "list_deployments": ("GET", "/v0/models"),
    },
    odd_deployments=[None, "<html>", 5, {}, {"data": None}, {"data": [5]}, [5], {"data": [{"name": None}]}],
    wire="nebius",
    model="meta-llama/Llama-3.1-8B-Instruct",
    first_status=JobStatus.RUNNING,
    files_expire=False,
    step_interval=12,
    repeats_events=True,
)

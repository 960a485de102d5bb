"""How trouble is made on Together's wire: the fields of its `StandIn`."""

from typing import Any

from shared.jobs.models import JobStatus

_TUNES = "/v1/fine-tunes"
_NO_PAUSE = "its jobs are cancelled, or continued as new ones"
_NO_PARTS = "a file of up to 5 GB is sent whole"
FIELDS: dict[str, Any] = {
    "name": "together",
    "calls": {
        "list_base_models": ("GET", f"{_TUNES}/models/supported"),
        "delete_model": ("DELETE", f"{_TUNES}/*"),
        "create_file": ("POST", "/v1/files/*/preprocess"),  # the last call of three
        "find_file": ("GET", "/v1/files"),
        "list_files": ("GET", "/v1/files"),
        "delete_file": ("DELETE", "/v1/files/*"),
        "file_name": ("GET", "/v1/files/*"),
        "read_file": ("GET", "/v1/files/*/content"),
        "create_job": ("POST", _TUNES),
        "find_jobs": ("GET", _TUNES),
        "job_pages": ("GET", _TUNES),
        "list_jobs": ("GET", _TUNES),
        "get_job": ("GET", f"{_TUNES}/*"),
        "cancel_job": ("POST", f"{_TUNES}/*/cancel"),
        "new_events": ("GET", f"{_TUNES}/*/events"),
        "checkpoints": ("GET", f"{_TUNES}/*/checkpoints"),
        "create_deployment": ("POST", "/v1/endpoints"),
        "find_deployments": ("GET", "/v1/endpoints"),
        "advance_deployment": ("GET", "/v1/endpoints/*"),
        "delete_deployment": ("DELETE", "/v1/endpoints/*"),
        "list_deployments": ("GET", "/v1/endpoints"),
    },
    "page": lambda items: {"data": items},
    "item": lambda number: {"id": f"file-{number}", "type": "warning", "message": f"{number}", "step": number},
    "odd_jobs": [
        {"model": None, "events": None, "progress": None, "training_type": None, "queue_depth": None},
        {"model": 4, "events": "none", "progress": 5, "total_price": "much", "n_epochs": "many", "suffix": 7},
        {"created_at": "today", "progress": {"estimate_available": True, "seconds_remaining": -1}},
        {"created_at": 1893456000000, "progress": {"estimate_available": True, "seconds_remaining": 2**70}},
        {"training_file": 7, "validation_file": "", "updated_at": {}, "batch_size": "max", "token_count": 0.5},
        {"model": "", "from_checkpoint": "", "something_new": {"of": ["tomorrow"]}, "total_price": -1},
    ],
    "status_field": lambda word: {"status": word},
    "max_pages": "worker.providers.rest.pages.MAX_PAGES",
    "wire": "together",
    "lacks": {
        "job_slots": "it does not say how many jobs may run at once",
        "create_upload": _NO_PARTS,
        "create_part": _NO_PARTS,
        "complete_upload": _NO_PARTS,
        "pause_job": _NO_PAUSE,
        "resume_job": _NO_PAUSE,
    },
    "model": "Qwen/Qwen3-8B",
    "first_status": JobStatus.QUEUED,
    "marks_all": False,
    "files_expire": False,
    "is_paged": False,
    "odd_deployments": [None, [], "<html>", 5, {}, {"data": None}, {"data": [5]}, {"data": [{"id": None}]}],
    "found": lambda job: {"data": [job]},
    "unsaid": {"shutdown_date": "its list of models has names only"},
    "events_have_ids": False,
    "repeats_events": True,
    "lists_others": False,
    "models": lambda models: {"models": [model["id"] for model in models]},
    "error_names": ("message",),
    "failed": lambda error: {"status": "error", "events": [{"type": "job_error", "message": error["message"]}]},
    "succeeded": lambda model: {"status": "completed", "model_output_name": model},
}

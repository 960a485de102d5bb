"""The OpenAPI document beyond what FastAPI derives from the routes: the order of `/docs`, examples, webhooks."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from api.http.errors import ErrorEnvelope
from api.webhooks.openapi import webhook_operations
from api.webhooks.samples import sample
from shared.webhooks.event_types import EventType

# The calls of the tutorial come first: a file, a job, its model, a chat.
TAGS = [
    {"name": "Files", "description": "Upload training data; a file is checked at once."},
    {"name": "Fine-tuning", "description": "Create a job, follow it, and read its losses."},
    {"name": "Models", "description": "Base models, and those that the project's jobs have made."},
    {"name": "Inference", "description": "Chat with a base model or a tuned one."},
    {"name": "Deployments", "description": "Let a provider answer for a tuned model, by the hour, where one must."},
    {"name": "Datasets", "description": "Training files with their check, statistics, estimate and parts."},
    {"name": "Uploads", "description": "Large files, in parts."},
    {"name": "Webhooks", "description": "Be called when something happens."},
    {"name": "Project", "description": "The limits, spend and queue of the key's project."},
    {"name": "Administration", "description": "Projects, keys, limits and money, with an admin key."},
]
_REFERENCE = "#/components/schemas/{model}"
_FILE = {
    "id": "file-01m8x0sample",
    "object": "file",
    "bytes": 12_345,
    "created_at": 1_790_000_000,
    "filename": "train.jsonl",
    "purpose": "fine-tune",
    "status": "processed",
}
_JOB = {**sample(EventType.JOB_SUCCEEDED), "id": "ftjob-01m8x0sample", "training_file": _FILE["id"]}
_TUNED = _JOB["fine_tuned_model"]
_MODEL = {"id": _TUNED, "object": "model", "created": 1_790_001_700, "owned_by": "proj_sample"}
_EVENT = {
    "id": "ftevent-01m8x0sample",
    "object": "fine_tuning.job.event",
    "created_at": 1_790_000_900,
    "level": "info",
    "message": "Step 50/150: training loss=0.61",
    "type": "metrics",
    "data": {"step": 50, "train_loss": 0.61, "total_steps": 150},
}
_QUESTION = {"role": "user", "content": "Where is my parcel?"}
_ANSWER = {"role": "assistant", "content": "It is on its way. Which number is on your receipt?"}


def _page(item: dict[str, Any]) -> dict[str, Any]:
    return {"object": "list", "data": [item], "first_id": item["id"], "last_id": item["id"], "has_more": False}


# By operation: the body of a request (None if it has none) and its answer.
EXAMPLES: dict[tuple[str, str], tuple[dict[str, Any] | None, dict[str, Any]]] = {
    ("post", "/v1/files"): ({"file": "train.jsonl", "purpose": "fine-tune"}, {**_FILE, "status": "uploaded"}),
    ("get", "/v1/files"): (None, _page(_FILE)),
    ("get", "/v1/files/{file_id}"): (None, _FILE),
    ("post", "/v1/fine_tuning/jobs"): (
        {
            "model": _JOB["model"],
            "training_file": _FILE["id"],
            "suffix": "sample",
            "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}},
        },
        {**sample(EventType.JOB_CREATED), "id": _JOB["id"], "training_file": _FILE["id"]},
    ),
    ("get", "/v1/fine_tuning/jobs"): (None, _page(_JOB)),
    ("get", "/v1/fine_tuning/jobs/{fine_tuning_job_id}"): (None, _JOB),
    ("get", "/v1/fine_tuning/jobs/{fine_tuning_job_id}/events"): (None, _page(_EVENT)),
    ("get", "/v1/models"): (None, {"object": "list", "data": [_MODEL]}),
    ("get", "/v1/models/{model}"): (None, _MODEL),
    ("post", "/v1/chat/completions"): (
        {"model": _TUNED, "messages": [_QUESTION]},
        {
            "id": "chatcmpl-sample",
            "object": "chat.completion",
            "created": 1_790_002_000,
            "model": _TUNED,
            "choices": [{"index": 0, "message": _ANSWER, "finish_reason": "stop"}],
        },
    ),
}
_IN_PATH = {"file_id": _FILE["id"], "fine_tuning_job_id": _JOB["id"], "model": _TUNED}


def answers_of_errors(sentences: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """By status, for `responses` of the routes. As a reference: of a `model`, FastAPI would make a validator for each
    route and status, nearly 2,000 in all, at the first request."""
    body = {"application/json": {"schema": {"$ref": _REFERENCE.format(model=ErrorEnvelope.__name__)}}}
    return {status: {"description": sentence, "content": body} for status, sentence in sentences.items()}


def operation_id(route: APIRoute) -> str:
    return route.name


def extend_openapi(app: FastAPI) -> None:
    """Add our webhooks, errors and examples to the document; remove FastAPI's 422, which we answer as 400."""
    default = app.openapi

    def openapi() -> dict[str, Any]:
        document = default()
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                operation["responses"].pop("422", None)
                if (method, path) in EXAMPLES:
                    _add_examples(operation, *EXAMPLES[method, path])
        envelope = ErrorEnvelope.model_json_schema(ref_template=_REFERENCE)
        schemas = document["components"]["schemas"] | envelope.pop("$defs") | {ErrorEnvelope.__name__: envelope}
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        document["components"]["schemas"] = dict(sorted(schemas.items()))
        return document | {"webhooks": webhook_operations()}

    vars(app)["openapi"] = openapi  # hides the method, as FastAPI's documentation advises; mypy forbids the assignment


def _add_examples(operation: dict[str, Any], body: dict[str, Any] | None, answer: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["example"] = _IN_PATH[parameter["name"]]
    if body is not None:
        [content] = operation["requestBody"]["content"].values()
        content["example"] = body
    content = operation["responses"]["200"].setdefault("content", {}).setdefault("application/json", {})
    content["example"] = answer

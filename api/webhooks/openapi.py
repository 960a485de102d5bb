"""Builds the `webhooks` section of /openapi.json: every type of event with its payload and an example."""

from typing import Any

from pydantic import BaseModel

from api.webhooks.samples import sample
from shared.budgets.schemas import ThresholdReached
from shared.datasets.views import DatasetPublic
from shared.deployments.schemas import DeploymentPublic
from shared.jobs.elsewhere.retirement import ModelEnds
from shared.jobs.schemas import CheckpointPublic, JobPublic
from shared.projects.key_schemas import ApiKeyPublic
from shared.webhooks.event_types import EventType
from shared.webhooks.schemas import WebhookEndpointPublic

_DESCRIPTIONS = {
    EventType.JOB_CREATED: "A job was accepted.",
    EventType.JOB_QUEUED: "A job's files are checked, and it waits for a slot at the provider.",
    EventType.JOB_APPROVAL_REQUIRED: "A job costs so much that it must be approved first.",
    EventType.JOB_RUNNING: "A job trains, or trains again after a pause.",
    EventType.JOB_PAUSED: "A job was paused.",
    EventType.JOB_PROGRESSED: "A job's progress has grown by another tenth.",
    EventType.JOB_CHECKPOINT_CREATED: "A job has saved a checkpoint, which can be used as a model.",
    EventType.JOB_SUCCEEDED: "A job has ended with a model.",
    EventType.JOB_FAILED: "A job has ended without a model; its `error` says why.",
    EventType.JOB_CANCELLED: "A job was cancelled.",
    EventType.DATASET_PROCESSED: "A dataset was checked, and can be trained on.",
    EventType.DATASET_FAILED: "A dataset was checked, and cannot be used; its `status_details` say why.",
    EventType.MODEL_SHUTDOWN_SCHEDULED: "A tuned model will stop: the date is new, or 90, 30 or 7 days away.",
    EventType.DEPLOYMENT_READY: "A deployment answers chats.",
    EventType.DEPLOYMENT_STOPPED: "A deployment was stopped, and costs nothing more; its `reason` says why.",
    EventType.DEPLOYMENT_FAILED: "A deployment has failed, and costs nothing more; its `reason` says why.",
    EventType.BUDGET_THRESHOLD_REACHED: "This month's spent and reserved amounts have reached an alert or the limit.",
    EventType.API_KEY_EXPIRING: "An API key of the project expires within a week.",
    EventType.ENDPOINT_DISABLED: "An endpoint was disabled because it answered 410 or failed for days.",
}
_OBJECTS: dict[EventType, type[BaseModel]] = {
    EventType.JOB_CHECKPOINT_CREATED: CheckpointPublic,
    EventType.DATASET_PROCESSED: DatasetPublic,
    EventType.DATASET_FAILED: DatasetPublic,
    EventType.MODEL_SHUTDOWN_SCHEDULED: ModelEnds,
    EventType.DEPLOYMENT_READY: DeploymentPublic,
    EventType.DEPLOYMENT_STOPPED: DeploymentPublic,
    EventType.DEPLOYMENT_FAILED: DeploymentPublic,
    EventType.BUDGET_THRESHOLD_REACHED: ThresholdReached,
    EventType.API_KEY_EXPIRING: ApiKeyPublic,
    EventType.ENDPOINT_DISABLED: WebhookEndpointPublic,
}
_THIN = " `data` has only the job's id, as at OpenAI; if the endpoint has `full_payloads`, it is the whole job."
_THIN_DATA = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
_HEADERS = {
    "webhook-id": "The delivery's id, the same in every attempt: if you have handled it before, ignore this one",
    "webhook-timestamp": "Unix seconds of this attempt: refuse it if it differs from your clock by more than 5 minutes",
    "webhook-signature": "`v1,` and base64 of the HMAC-SHA256 of `{id}.{timestamp}.{body}`; several, separated by "
    "spaces, while a secret is rotated",
}
_ANSWERS = {
    "2XX": {"description": "Received; the body is ignored"},
    "410": {"description": "The endpoint is disabled at once"},
    "default": {"description": "Any other answer, including a redirect, or none within 15 s: retried for 75 hours"},
}


def webhook_operations() -> dict[str, Any]:
    """Return the `webhooks` section, with one entry for each event type.

    FastAPI's own `app.webhooks` is not used: it would add a second schema of each payload, for requests, and drop every
    null from the examples.
    """
    return {type.value: {"post": _operation(type)} for type in EventType}


def _operation(type: EventType) -> dict[str, Any]:
    return {
        "tags": ["Webhooks"],
        "operationId": "on_" + type.replace(".", "_"),
        "summary": type.value,
        "description": _DESCRIPTIONS[type] + (_THIN if type.is_thin else ""),
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
            for name, text in _HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _payload(type), "example": _example(type)}},
        },
        "responses": _ANSWERS,
    }


def _payload(type: EventType) -> dict[str, Any]:
    properties = {
        "id": {"type": "string", "description": "The event's id: `evt_…`"},
        "object": {"type": "string", "const": "event"},
        "created_at": {"type": "integer", "description": "Unix seconds, when it happened"},
        "type": {"type": "string", "const": type.value},
        "data": _THIN_DATA if type.is_thin else _schema(_OBJECTS.get(type, JobPublic)),
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _example(type: EventType) -> dict[str, Any]:
    object = sample(type)
    return {
        "id": "evt_sample",
        "object": "event",
        "created_at": 1_790_000_000,
        "type": type.value,
        "data": {"id": object["id"]} if type.is_thin else object,
    }


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    if model in {ThresholdReached, ModelEnds}:  # no route returns it, so the document has no schema to refer to
        return model.model_json_schema(mode="serialization")
    return {"$ref": f"#/components/schemas/{model.__name__}"}

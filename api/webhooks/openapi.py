"""The `webhooks` section of /openapi.json: every event that an endpoint may be told of, with its payload."""

from typing import Any

from pydantic import BaseModel

from api.webhooks.samples import sample
from shared.budgets.schemas import ThresholdReached
from shared.datasets.views import DatasetPublic
from shared.jobs.schemas import CheckpointPublic, JobPublic, ModelPublic
from shared.projects.key_schemas import ApiKeyPublic
from shared.webhooks.event_types import EventType
from shared.webhooks.schemas import WebhookEndpointPublic

_TOLD_WHEN = {
    EventType.JOB_CREATED: "A job was accepted.",
    EventType.JOB_QUEUED: "Its files are checked, and it waits for a slot at the provider.",
    EventType.JOB_APPROVAL_REQUIRED: "It costs so much that somebody must approve it first.",
    EventType.JOB_RUNNING: "It trains, or trains again after a pause.",
    EventType.JOB_PAUSED: "It is paused.",
    EventType.JOB_PROGRESSED: "It has come another tenth further.",
    EventType.JOB_CHECKPOINT_CREATED: "A checkpoint was saved; it can be used as a model.",
    EventType.JOB_SUCCEEDED: "A job has ended with a model.",
    EventType.JOB_FAILED: "A job has ended without a model; its `error` says why.",
    EventType.JOB_CANCELLED: "A job was cancelled.",
    EventType.DATASET_PROCESSED: "A dataset was checked, and can be trained on.",
    EventType.DATASET_FAILED: "A dataset was checked, and cannot be used; its `status_details` say why.",
    EventType.MODEL_SHUTDOWN_SCHEDULED: "A tuned model has got a date on which it stops, or another date.",
    EventType.BUDGET_THRESHOLD_REACHED: "What is spent and reserved this month has reached an amount to be told of.",
    EventType.API_KEY_EXPIRING: "A key of the project will be refused within a week.",
    EventType.ENDPOINT_DISABLED: "An endpoint gets nothing any more: it answered 410, or failed for days.",
}
_OBJECTS: dict[EventType, type[BaseModel]] = {
    EventType.JOB_CHECKPOINT_CREATED: CheckpointPublic,
    EventType.DATASET_PROCESSED: DatasetPublic,
    EventType.DATASET_FAILED: DatasetPublic,
    EventType.MODEL_SHUTDOWN_SCHEDULED: ModelPublic,
    EventType.BUDGET_THRESHOLD_REACHED: ThresholdReached,
    EventType.API_KEY_EXPIRING: ApiKeyPublic,
    EventType.ENDPOINT_DISABLED: WebhookEndpointPublic,
}
_THIN = " `data` has its id alone, as OpenAI's has; with the endpoint's `full_payloads` it is the whole job."
_THIN_DATA = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
_HEADERS = {
    "webhook-id": "The delivery's id, the same at every attempt: what you have seen before is a repeat",
    "webhook-timestamp": "Unix seconds of this attempt; refuse one that is more than 5 minutes off",
    "webhook-signature": "`v1,` and base64 of the HMAC-SHA256 of `{id}.{timestamp}.{body}`; several, with a space "
    "between, while a secret is rotated",
}
_ANSWERS = {
    "2XX": {"description": "Received, whatever the body says"},
    "410": {"description": "Never again: the endpoint is disabled at once"},
    "default": {"description": "Any other answer, also a redirect, and none within 15 s: repeated for 75 hours"},
}


def webhook_operations() -> dict[str, Any]:
    """Return the `webhooks` section, with one entry for each event type.

    FastAPI's own `app.webhooks` is not used: it would describe the payloads a second time, as requests, and drop every
    null from the examples.
    """
    return {type.value: {"post": _operation(type)} for type in EventType}


def _operation(type: EventType) -> dict[str, Any]:
    return {
        "tags": ["Webhooks"],
        "operationId": "on_" + type.replace(".", "_"),
        "summary": type.value,
        "description": _TOLD_WHEN[type] + (_THIN if type.is_thin else ""),
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
    if model is ThresholdReached:  # no route answers with it, so that the document has it nowhere else
        return model.model_json_schema(mode="serialization")
    return {"$ref": f"#/components/schemas/{model.__name__}"}

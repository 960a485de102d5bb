"""Sends to every operation a valid request in which one part is hostile."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from tests.api.operations import PREFIX, Operation, operations
from tests.api.wire import Answer, send
from tests.world import Person, lines

# What the schema alone does not say, so that a request gets further than to the first check.
BODIES_THAT_FIT: dict[str, Any] = {
    "/fine_tuning/jobs": {
        "model": "my-own-model",
        "suffix": "x",
        "seed": 1,
        "method": {
            "type": "reinforcement",
            "reinforcement": {
                "grader": {"type": "string_check", "name": "n", "input": "i", "reference": "r", "operation": "eq"},
                "hyperparameters": {"eval_samples": 1, "n_epochs": 1, "batch_size": 1, "learning_rate_multiplier": 1},
                "response_format": {"a": 1},
            },
        },
        "hyperparameters": {"n_epochs": 1, "batch_size": 1, "learning_rate_multiplier": 1},
        "integrations": [{"type": "wandb", "wandb": {"project": "p", "name": "n", "tags": ["t"]}}],
        "metadata": {"k": "v"},
    },
    "/webhook_endpoints": {
        "name": "n",
        "url": "https://example.com/hook",
        "event_types": ["fine_tuning.job.succeeded"],
    },
    "/chat/completions": {"model": "gpt-4o-mini", "messages": [], "stream": False},
    "/responses": {"model": "gpt-4o-mini", "input": "Once", "stream": False},
    "/completions": {"model": "gpt-4o-mini", "prompt": "Once", "stream": False},
}
NEEDS_A_FILE = {"/fine_tuning/jobs": ("training_file", "validation_file")}
WAITS = "/test"  # for somebody to answer


@dataclass(frozen=True)
class Attack:
    """Mallory's own key, a stolen admin key, and an id of every kind."""

    mallory: Person
    admin_key: str
    operations: list[Operation]
    ids: Mapping[str, str]

    def ids_for(self, operation: Operation) -> Mapping[str, str]:
        """Use real ids only where nothing is deleted or waited for: later requests need them."""
        is_safe = operation.method == "GET" or (operation.body is not None and not operation.path.endswith(WAITS))
        return self.ids if is_safe and (operation.method == "GET" or not operation.is_for_admins) else {}

    def ask(
        self,
        operation: Operation,
        address: str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        key = {"authorization": f"Bearer {self.admin_key}"} if operation.is_for_admins else {}
        address = address or operation.address(self.ids_for(operation))
        if body is None and operation.body is not None:
            body = json.dumps(operation.body).encode()
        for _ in range(50):  # a connection whose body nobody reads may be reset before its answer has been read
            with suppress(ConnectionResetError):
                return send(self.mallory, operation.method, address, body, {**key, **(headers or {})})
        raise AssertionError(f"{operation.method} {address}: every connection was reset")


def prepare(mallory: Person, admin_key: str) -> Attack:
    """Return all documented operations, and an id of every kind in Mallory's project."""
    file_id = mallory.upload(lines())
    found = []
    for operation in operations(
        mallory.http.get(f"{mallory.base_url.removesuffix(PREFIX)}/openapi.json", timeout=60).json()
    ):
        body = BODIES_THAT_FIT.get(operation.path, operation.body) if operation.method == "POST" else None
        files = dict.fromkeys(NEEDS_A_FILE.get(operation.path, ()), file_id) if body is not None else {}
        fitting = {**body, **files} if isinstance(body, dict) else body
        found.append(replace(operation, body=fitting))
    made = send(mallory, "POST", "/webhook_endpoints", json.dumps(BODIES_THAT_FIT["/webhook_endpoints"]).encode())
    upload = mallory.openai.uploads.create(filename="a", bytes=1, purpose="fine-tune", mime_type="text/jsonl")
    ids = {
        "file_id": file_id,
        "dataset_id": file_id,
        "fine_tuning_job_id": mallory.create_job(training_file=file_id),
        "model": "gpt-4o-mini",
        "webhook_endpoint_id": made.json["id"],
        "upload_id": upload.id,
        "project_id": mallory.project_id,
    }
    return Attack(mallory, admin_key, found, ids)

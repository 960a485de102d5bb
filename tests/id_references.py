"""Finds every parameter of the api that holds an id: in the path, query, body or headers of each operation."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.api.operations import Operation
from tests.api.wire import Answer, send
from tests.world import Person

FILES = ("file", "result", "deleted_file", "provider_file")
JOBS = ("job", "provider_job")
MODELS = ("model", "checkpoint_model", "deleted_model")
HOOKS = ("endpoint", "deleted_endpoint")

# The kinds of ids by parameter; for cursors and `last-event-id`, by the end of the operation's path.
KINDS_BY_NAME: dict[str, tuple[str, ...]] = {
    "file_id": FILES,
    "dataset_id": FILES,
    "other": FILES,
    "training_file": FILES,
    "validation_file": FILES,
    "fine_tuning_job_id": JOBS,
    "from_job": JOBS,
    "model": MODELS,
    "upload_id": ("upload",),
    "part_ids": ("part",),
    "webhook_endpoint_id": HOOKS,
    "delivery_id": ("delivery",),
    "recovery_id": ("recovery",),
    "webhook_event_id": ("webhook_event",),
    "deployment_id": ("deployment",),
    "object": ("job", "file"),
}
KINDS_BY_PATH: dict[str, tuple[str, ...]] = {
    "/files": FILES,
    "/datasets": FILES,
    "/jobs": JOBS,
    "/events": ("event",),
    "/checkpoints": ("checkpoint",),
    "/uploads/{upload_id}/parts": ("part",),
    "/webhook_endpoints": HOOKS,
    "/deployments": ("deployment",),
    "/deliveries": ("delivery",),
    "/webhook_events": ("webhook_event",),
    "/datasets/{dataset_id}/errors": (),  # the number of a line
}
NEVER = "0" * 26
BY_PATH = {"after", "last-event-id"}
NO_IDS = {
    "Idempotency-Key",
    "bytes",
    "code",
    "created_at[gt]",
    "created_at[gte]",
    "created_at[lt]",
    "created_at[lte]",
    "deploy_on_success",
    "enabled",
    "event_type",
    "event_types",
    "examples",
    "expires_after",
    "filename",
    "full_payloads",
    "hyperparameters",
    "idle_timeout",
    "input",
    "integrations",
    "keep_old_secret_active_for_24_hours",
    "limit",
    "md5",
    "messages",
    "metadata",
    "method",
    "mime_type",
    "n_epochs",
    "name",
    "order",
    "priority",
    "prompt",
    "provider",
    "provider_options",
    "purpose",
    "resolution",
    "seed",
    "severity",
    "since",
    "split",
    "status",
    "stream",
    "suffix",
    "type",
    "until",
    "url",
}

# The rest of a valid request, so that it gets as far as looking up the id.
BODIES: dict[str, dict[str, Any]] = {
    "/fine_tuning/jobs": {"model": "gpt-4o-mini", "training_file": "{file_id}"},
    "/uploads/{upload_id}/complete": {"part_ids": ["part_1"]},
    "/datasets": {},
    "/chat/completions": {"messages": [{"role": "user", "content": "Question 7"}]},
    "/completions": {"prompt": "Question 7"},
    "/responses": {"input": "Question 7"},
    "/webhook_endpoints/{webhook_endpoint_id}": {"name": "his"},
    "/webhook_endpoints/{webhook_endpoint_id}/test": {"event_type": "dataset.failed"},
    "/webhook_endpoints/{webhook_endpoint_id}/recover": {"since": 0},
}
QUERIES = {
    "/datasets/{dataset_id}/estimate": {"model": "gpt-4o-mini"},
    "/datasets/{dataset_id}/compare": {"other": "{file_id}"},
}
# Here the id is not looked up, or is a filter that matches nothing: any status is right, if both ids get the same.
ANY_ANSWER = {
    ("/datasets/{dataset_id}/estimate", "model"),
    ("/datasets/{dataset_id}/preview", "model"),
    ("/webhook_events", "object"),
    ("/webhook_endpoints/{webhook_endpoint_id}/deliveries", "object"),
    ("/uploads/{upload_id}/complete", "part_ids"),
}
# Filters, of which the same holds, while the body of the same path names what must exist.
FILTERS = {("/fine_tuning/jobs", "model"), ("/deployments", "model")}


@dataclass(frozen=True)
class IdReference:
    """A parameter of an operation that takes an id of one of these kinds."""

    operation: Operation
    where: Literal["path", "query", "body", "header"]
    name: str
    kinds: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.operation.name}, {self.name} in the {self.where}"

    @property
    def may_answer_anything(self) -> bool:
        known = ANY_ANSWER | FILTERS if self.where == "query" else ANY_ANSWER
        return (self.operation.path, self.name) in known

    def request(self, person: Person, id: str, own: Mapping[str, str]) -> Answer:
        """Send a request with `id` as this parameter, and the person's own ids for all other parameters."""
        path, ids = self.operation.path, {**own, **({self.name: id} if self.where == "path" else {})}
        query = {**QUERIES.get(path, {}), **({self.name: id} if self.where == "query" else {})}
        body = BODIES.get(path) if self.operation.method == "POST" else None
        if self.where == "body":
            body = {**(body or {}), self.name: [id] if self.name.endswith("_ids") else id}
        headers = {"accept": "text/event-stream", self.name: id} if self.where == "header" else {}
        query_string = "&".join(f"{name}={value}" for name, value in query.items()).format(**own)
        url = self.operation.address(ids) + (f"?{query_string}" if query_string else "")
        sent = re.sub(r"{(\w+)}", lambda found: own[found[1]], json.dumps(body)).encode() if body is not None else None
        return send(person, self.operation.method, url, sent, headers)


def id_references(operations: list[Operation]) -> list[IdReference]:
    """Find the references of these operations. Raises `KeyError` for a parameter that this module does not list."""
    found = []
    for operation in operations:
        fields = tuple(operation.body) if isinstance(operation.body, dict) else ()
        parameters: list[tuple[Literal["path", "query", "body", "header"], tuple[str, ...]]] = [
            ("path", operation.in_path),
            ("query", operation.in_query),
            ("body", fields),
            ("header", operation.in_header),
        ]
        for where, names in parameters:
            found += [
                IdReference(operation, where, name, _kinds(operation, name)) for name in names if name not in NO_IDS
            ]
    return [reference for reference in found if reference.kinds]


def _kinds(operation: Operation, name: str) -> tuple[str, ...]:
    if name not in BY_PATH:
        return KINDS_BY_NAME[name]
    return KINDS_BY_PATH[max((end for end in KINDS_BY_PATH if operation.path.endswith(end)), key=len)]


def never_existed(id: str) -> str:
    """Return an id of the same form that never existed."""
    return re.sub(r"[^:_-]+$", NEVER[: len(re.split(r"[:_-]", id)[-1])], id)


def difference(first: Answer, id: str, second: Answer, other: str) -> str | None:
    """Describe the difference between two answers, apart from the ids in them; None if there is none."""
    if first.status != second.status or first.text.replace(id, "{id}") != second.text.replace(other, "{id}"):
        return f"{first.status} {first.text}, but {second.status} {second.text}"
    return None if first.headers.keys() == second.headers.keys() else f"{first.headers}, but {second.headers}"

"""Every way in which a request can name a thing: a place in its path, query, body or headers, by operation."""

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

# What can be named under a name; of cursors and the like, what by the end of the operation's path.
NAMED: dict[str, tuple[str, ...]] = {
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
    "webhook_event_id": ("told",),
    "object": ("job", "file"),
}
LISTED: dict[str, tuple[str, ...]] = {
    "/files": FILES,
    "/datasets": FILES,
    "/jobs": JOBS,
    "/events": ("event",),
    "/checkpoints": ("checkpoint",),
    "/uploads/{upload_id}/parts": ("part",),
    "/webhook_endpoints": HOOKS,
    "/deliveries": ("delivery",),
    "/webhook_events": ("told",),
    "/datasets/{dataset_id}/errors": (),  # a number, of a line
}
NEVER = "0" * 26
BY_PATH = {"after", "last-event-id"}
NO_IDS = {
    "Idempotency-Key",
    "bytes",
    "code",
    "enabled",
    "event_type",
    "event_types",
    "examples",
    "expires_after",
    "filename",
    "full_payloads",
    "hyperparameters",
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

# What a request needs besides, to get as far as the thing that is named.
BODIES: dict[str, dict[str, Any]] = {
    "/fine_tuning/jobs": {"model": "gpt-4o-mini", "training_file": "{file_id}"},
    "/uploads/{upload_id}/complete": {"part_ids": ["part_1"]},
    "/datasets": {},
    "/chat/completions": {"messages": [{"role": "user", "content": "Question 7"}]},
    "/webhook_endpoints/{webhook_endpoint_id}": {"name": "his"},
    "/webhook_endpoints/{webhook_endpoint_id}/test": {"event_type": "dataset.failed"},
    "/webhook_endpoints/{webhook_endpoint_id}/recover": {"since": 0},
}
QUERIES = {
    "/datasets/{dataset_id}/estimate": {"model": "gpt-4o-mini"},
    "/datasets/{dataset_id}/compare": {"other": "{file_id}"},
}
# Here a name is looked up nowhere, or is a filter that finds nothing: the answer may be any, but the same.
ANY_ANSWER = {
    ("/datasets/{dataset_id}/estimate", "model"),
    ("/datasets/{dataset_id}/preview", "model"),
    ("/webhook_events", "object"),
    ("/webhook_endpoints/{webhook_endpoint_id}/deliveries", "object"),
    ("/uploads/{upload_id}/complete", "part_ids"),
}


@dataclass(frozen=True)
class Naming:
    """A place in an operation where an id of these kinds can stand."""

    operation: Operation
    where: Literal["path", "query", "body", "header"]
    name: str
    kinds: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.operation.name}, {self.name} in the {self.where}"

    @property
    def may_answer_anything(self) -> bool:
        return (self.operation.path, self.name) in ANY_ANSWER

    def ask(self, person: Person, id: str, own: Mapping[str, str]) -> Answer:
        """A request that names `id` here, and everywhere else what is the person's own."""
        path, ids = self.operation.path, {**own, **({self.name: id} if self.where == "path" else {})}
        query = {**QUERIES.get(path, {}), **({self.name: id} if self.where == "query" else {})}
        body = BODIES.get(path) if self.operation.method == "POST" else None
        if self.where == "body":
            body = {**(body or {}), self.name: [id] if self.name.endswith("_ids") else id}
        headers = {"accept": "text/event-stream", self.name: id} if self.where == "header" else {}
        asked = "&".join(f"{name}={value}" for name, value in query.items()).format(**own)
        address = self.operation.address(ids) + (f"?{asked}" if asked else "")
        sent = re.sub(r"{(\w+)}", lambda found: own[found[1]], json.dumps(body)).encode() if body is not None else None
        return send(person, self.operation.method, address, sent, headers)


def namings(operations: list[Operation]) -> list[Naming]:
    """All of them. Raises `KeyError` for a name of which nobody has said yet what it names."""
    found = []
    for operation in operations:
        fields = tuple(operation.body) if isinstance(operation.body, dict) else ()
        places: list[tuple[Literal["path", "query", "body", "header"], tuple[str, ...]]] = [
            ("path", operation.in_path),
            ("query", operation.in_query),
            ("body", fields),
            ("header", operation.in_header),
        ]
        for where, names in places:
            found += [Naming(operation, where, name, _kinds(operation, name)) for name in names if name not in NO_IDS]
    return [naming for naming in found if naming.kinds]


def _kinds(operation: Operation, name: str) -> tuple[str, ...]:
    if name not in BY_PATH:
        return NAMED[name]
    return LISTED[max((end for end in LISTED if operation.path.endswith(end)), key=len)]


def never(id: str) -> str:
    """An id of the same form, of something that never was."""
    return re.sub(r"[^:_-]+$", NEVER[: len(re.split(r"[:_-]", id)[-1])], id)


def difference(hers: Answer, id: str, nobodys: Answer, other: str) -> str | None:
    """What tells the answers apart, but for the ids that are named in them."""
    if hers.status != nobodys.status or hers.text.replace(id, "{id}") != nobodys.text.replace(other, "{id}"):
        return f"{hers.status} {hers.text}, but {nobodys.status} {nobodys.text}"
    return None if hers.headers.keys() == nobodys.headers.keys() else f"{hers.headers}, but {nobodys.headers}"

"""Whether an id of another project can be told from one that never was: by the answer, or by the time that it takes.

`python -m benchmarks.isolation` asks every operation for each kind of another project's things, in every place that can
name them, and again for what never was. The same with two ids that never were tells how far times are apart by chance.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import httpx2

from benchmarks.stack import Measured, measured_stack, print_table
from tests.api.operations import operations
from tests.namings import Naming, difference, namings, never
from tests.world import Person, lines

ROUNDS = 10
QUICK = {"SANDBOX_SPEED": "50", "TUNERY_POLL_EVERY": "0.2", "TUNERY_LOG_LEVEL": "error"}
ENDPOINT = {"name": "n", "url": "https://example.com/hook", "event_types": ["fine_tuning.job.created"]}


def main() -> None:
    with measured_stack(**QUICK) as stack:
        alice, bob = Person(stack.base_url, stack.api_key, stack.project_id), _somebody_else(stack)
        hers, his = _things(stack, alice), _own(bob)
        document = httpx2.get(stack.base_url.removesuffix("/v1") + "/openapi.json").json()
        asked = [each for each in operations(document) if not each.is_for_admins]
        cases = [(each, hers[kind]) for each in namings(asked) for kind in each.kinds]
        told = [said for naming, id in cases if (said := _told(naming, bob, id, his))]
        apart = [_apart(naming, bob, id, never(id), his) for naming, id in cases]
        by_chance = [_apart(naming, bob, never(id), never(id)[:-1] + "1", his) for naming, id in cases]
    print(*told, sep="\n")
    print_table(
        [
            ("operations, cases", "", f"{len(asked)}, {len(cases)}"),
            ("answers that tell another project's id", "0", str(len(told))),
            ("medians apart, in the mean: another's id, by chance", "alike", _both(apart, by_chance, statistics.mean)),
            ("medians apart, at most: another's id, by chance", "alike", _both(apart, by_chance, max)),
        ]
    )


def _somebody_else(stack: Measured) -> Person:
    command = [sys.executable, "-m", "cli", "project", "create", "bob's team"]
    made = subprocess.run(command, env=dict(stack.environ), capture_output=True, text=True, check=True)
    return Person(stack.base_url, made.stdout.strip(), "")


def _things(stack: Measured, alice: Person) -> dict[str, str]:
    """An id of everything that can be named, as `tests.namings` calls the kinds."""
    endpoint_id = _post(alice, "/webhook_endpoints", ENDPOINT)["id"]
    deleted, job = _trained(alice), _trained(alice)
    jobs = alice.openai.fine_tuning.jobs
    checkpoints = jobs.checkpoints.list(job["id"]).data
    [delivery, *_] = alice.http.get(f"/webhook_endpoints/{endpoint_id}/deliveries").json()["data"]
    upload = alice.openai.uploads.create(filename="a", bytes=1, purpose="fine-tune", mime_type="text/jsonl")
    ids = {
        "file": job["training_file"],
        "result": job["result_files"][0],
        "job": job["id"],
        "event": jobs.list_events(job["id"]).data[0].id,
        "checkpoint": checkpoints[0].id,
        "checkpoint_model": checkpoints[1].fine_tuned_model_checkpoint,
        "model": job["fine_tuned_model"],
        "endpoint": endpoint_id,
        "delivery": delivery["id"],
        "told": delivery["event_id"],
        "recovery": _post(alice, f"/webhook_endpoints/{endpoint_id}/recover", {"since": 0})["id"],
        "upload": upload.id,
        "part": alice.openai.uploads.parts.create(upload.id, data=b"x").id,
        "provider_job": job["provider_job_id"],
        "provider_file": _at_provider(stack),
        "deleted_model": deleted["fine_tuned_model"],
        "deleted_endpoint": _post(alice, "/webhook_endpoints", ENDPOINT)["id"],
        "deleted_file": alice.upload(),
    }
    for kind, path in (("model", "/models"), ("endpoint", "/webhook_endpoints"), ("file", "/files")):
        alice.http.delete(f"{path}/{ids[f'deleted_{kind}']}").raise_for_status()
    return ids


def _own(bob: Person) -> dict[str, str]:
    """What Bob's requests need besides."""
    file_id = bob.upload()
    upload = bob.openai.uploads.create(filename="a", bytes=1, purpose="fine-tune", mime_type="text/jsonl")
    return {
        "file_id": file_id,
        "dataset_id": file_id,
        "fine_tuning_job_id": bob.create_job(training_file=file_id),
        "webhook_endpoint_id": _post(bob, "/webhook_endpoints", ENDPOINT)["id"],
        "upload_id": upload.id,
        "model": "gpt-4o-mini",
    }


def _post(person: Person, path: str, body: Mapping[str, Any]) -> Any:
    return person.http.post(path, json=body).raise_for_status().json()


def _trained(person: Person) -> Any:
    job_id = person.create_job(training_file=person.upload(lines(50)))
    while (job := person.http.get(f"/fine_tuning/jobs/{job_id}").json())["status"] not in {"succeeded", "failed"}:
        time.sleep(0.2)
    return job


def _at_provider(stack: Measured) -> str:
    """The provider's own id of a file."""
    key = {"authorization": f"Bearer {stack.sandbox_key}"}
    found = httpx2.get(f"{stack.sandbox_url}/files?purpose=fine-tune", headers=key).raise_for_status().json()
    return str(found["data"][0]["id"])


def _told(naming: Naming, bob: Person, id: str, his: Mapping[str, str]) -> str | None:
    hers, nobodys = naming.ask(bob, id, his), naming.ask(bob, never(id), his)
    if apart := difference(hers, id, nobodys, never(id)):
        return f"{naming}: {apart}"
    return None if hers.status == 404 or naming.may_answer_anything else f"{naming}: {hers.status} {hers.text[:200]}"


def _apart(naming: Naming, bob: Person, one: str, other: str, his: Mapping[str, str]) -> float:
    """How many milliseconds the medians are apart, of requests sent by turns."""
    took: dict[str, list[float]] = {one: [], other: []}
    for _ in range(ROUNDS):
        for id, times in took.items():
            began = time.perf_counter()
            naming.ask(bob, id, his)
            times.append((time.perf_counter() - began) * 1000)
    return abs(statistics.median(took[one]) - statistics.median(took[other]))


def _both(apart: list[float], by_chance: list[float], of: Any) -> str:
    return f"{of(apart):.2f} ms, {of(by_chance):.2f} ms"


if __name__ == "__main__":
    main()

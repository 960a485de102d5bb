"""Bob asks every route for what is Alice's: it is not found, in the very words for what never was."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPMethod
from typing import Any

import pytest

from api.main import create_app
from tests.api.people import member
from tests.api.test_webhook_endpoints import create
from tests.api.training import model_of, train
from tests.api.wire import Answer, send
from tests.servers import Receiver
from tests.world import Person, Sandbox, empty_tables, work

NEVER = "-00000000000000000000000000"
Ids = dict[str, str]


@pytest.fixture(scope="module")
def alice(server: str, sandbox_server: Sandbox) -> Iterator[Person]:
    """One Alice for all: that nothing of hers is changed is the point."""
    sandbox_server.reset()
    with member(server, "alice's team") as alice:
        yield alice
    empty_tables()


@pytest.fixture(scope="module")
def bob(server: str) -> Iterator[Person]:
    with member(server, "bob's team") as bob:
        yield bob


@pytest.fixture(scope="module")
def alices(alice: Person, sandbox_server: Sandbox) -> Ids:
    """One id of everything that Alice can have, ours and the provider's."""
    with Receiver.listening() as receiver:
        return _ids(alice, sandbox_server, receiver)


def _ids(alice: Person, sandbox: Sandbox, receiver: Receiver) -> Ids:
    endpoint_id = create(alice, url=receiver.url).id
    job = train(alice, sandbox)
    work()
    recovery = alice.http.post(f"/webhook_endpoints/{endpoint_id}/recover", json={"since": 0}).json()
    work()
    deliveries = alice.http.get(f"/webhook_endpoints/{endpoint_id}/deliveries").json()["data"]
    upload = alice.openai.uploads.create(filename="a", bytes=1, purpose="fine-tune", mime_type="text/jsonl")
    [provider_job, provider_file] = [sandbox.jobs()[0].id, sandbox.files()[0].id]
    return {
        "file": job.training_file,
        "result": job.result_files[0],
        "job": job.id,
        "event": alice.openai.fine_tuning.jobs.list_events(job.id).data[0].id,
        "checkpoint": alice.openai.fine_tuning.jobs.checkpoints.list(job.id).data[0].id,
        "checkpoint_model": alice.openai.fine_tuning.jobs.checkpoints.list(job.id).data[1].fine_tuned_model_checkpoint,
        "model": model_of(job),
        "endpoint": endpoint_id,
        "delivery": deliveries[0]["id"],
        "recovery": recovery["id"],
        "told": deliveries[0]["event_id"],
        "upload": upload.id,
        "part": alice.openai.uploads.parts.create(upload.id, data=b"x").id,
        "provider_job": provider_job,
        "provider_file": provider_file,
    }


@dataclass(frozen=True)
class Case:
    """A request that names something of Alice's: `{id}` in its path, query or body, of these kinds."""

    method: str
    route: str
    path: str
    kinds: tuple[str, ...]
    body: Any = None
    needs: Callable[[Person], str] | None = None

    def ask(self, person: Person, id: str, own: str) -> Answer:
        body = json.dumps(self.body).replace("{id}", id).replace("{own}", own).encode() if self.body else None
        return send(person, self.method, self.path.replace("{id}", id).replace("{own}", own), body)


FILES, JOBS, HOOKS = ("file", "result", "provider_file"), ("job", "provider_job"), ("endpoint",)
MODELS = ("model", "checkpoint_model")
QUESTION = [{"role": "user", "content": "Question 7"}]


def _own_job(person: Person) -> str:
    return person.create_job()


def _own_endpoint(person: Person) -> str:
    return create(person).id


def _own_file(person: Person) -> str:
    return person.upload()


def _own_upload(person: Person) -> str:
    return person.openai.uploads.create(filename="a", bytes=1, purpose="fine-tune", mime_type="text/jsonl").id


JOB, HOOK = "/v1/fine_tuning/jobs/{fine_tuning_job_id}", "/v1/webhook_endpoints/{webhook_endpoint_id}"
DELIVERY, RECOVERY, TOLD = f"{HOOK}/deliveries/{{delivery_id}}", f"{HOOK}/recoveries/{{recovery_id}}", ("delivery",)
DATASET, UPLOAD = "/v1/datasets/{dataset_id}", "/v1/uploads/{upload_id}"
CASES = [
    Case("GET", "/v1/files", "/files?after={id}", FILES),
    Case("GET", "/v1/files", "/files?order=asc&after={id}", FILES),
    Case("GET", "/v1/files/{file_id}", "/files/{id}", FILES),
    Case("DELETE", "/v1/files/{file_id}", "/files/{id}", FILES),
    Case("GET", "/v1/files/{file_id}/content", "/files/{id}/content", FILES),
    Case("GET", UPLOAD, "/uploads/{id}", ("upload",)),
    Case("POST", f"{UPLOAD}/parts", "/uploads/{id}/parts", ("upload",)),
    Case("GET", f"{UPLOAD}/parts", "/uploads/{id}/parts", ("upload",)),
    Case("GET", f"{UPLOAD}/parts", "/uploads/{own}/parts?after={id}", ("part",), needs=_own_upload),
    Case("POST", f"{UPLOAD}/complete", "/uploads/{id}/complete", ("upload",), {"part_ids": ["part_1"]}),
    Case("POST", f"{UPLOAD}/cancel", "/uploads/{id}/cancel", ("upload",)),
    Case("GET", "/v1/fine_tuning/jobs", "/fine_tuning/jobs?after={id}", JOBS),
    Case("GET", JOB, "/fine_tuning/jobs/{id}", JOBS),
    Case("POST", f"{JOB}/cancel", "/fine_tuning/jobs/{id}/cancel", JOBS),
    Case("POST", f"{JOB}/pause", "/fine_tuning/jobs/{id}/pause", JOBS),
    Case("POST", f"{JOB}/resume", "/fine_tuning/jobs/{id}/resume", JOBS),
    Case("GET", f"{JOB}/events", "/fine_tuning/jobs/{id}/events", JOBS),
    Case("GET", f"{JOB}/events", "/fine_tuning/jobs/{own}/events?after={id}", ("event",), needs=_own_job),
    Case("GET", f"{JOB}/metrics", "/fine_tuning/jobs/{id}/metrics", JOBS),
    Case("GET", f"{JOB}/result.csv", "/fine_tuning/jobs/{id}/result.csv", JOBS),
    Case("POST", "/v1/fine_tuning/jobs", "/fine_tuning/jobs", JOBS, {"from_job": "{id}"}),
    Case("GET", f"{JOB}/checkpoints", "/fine_tuning/jobs/{id}/checkpoints", JOBS),
    Case(
        "GET", f"{JOB}/checkpoints", "/fine_tuning/jobs/{own}/checkpoints?after={id}", ("checkpoint",), needs=_own_job
    ),
    Case("GET", "/v1/models/{model:path}", "/models/{id}", MODELS),
    Case("DELETE", "/v1/models/{model:path}", "/models/{id}", MODELS),
    Case("GET", "/v1/webhook_endpoints", "/webhook_endpoints?after={id}", HOOKS),
    Case("GET", HOOK, "/webhook_endpoints/{id}", HOOKS),
    Case("DELETE", HOOK, "/webhook_endpoints/{id}", HOOKS),
    Case("GET", f"{HOOK}/deliveries", "/webhook_endpoints/{id}/deliveries", HOOKS),
    Case(
        "GET",
        f"{HOOK}/deliveries",
        "/webhook_endpoints/{own}/deliveries?after={id}",
        ("delivery",),
        needs=_own_endpoint,
    ),
    Case("POST", HOOK, "/webhook_endpoints/{id}", HOOKS, {"name": "his"}),
    Case("POST", f"{HOOK}/rotate_secret", "/webhook_endpoints/{id}/rotate_secret", HOOKS),
    Case("POST", f"{HOOK}/test", "/webhook_endpoints/{id}/test", HOOKS, {"event_type": "dataset.failed"}),
    Case("POST", f"{HOOK}/recover", "/webhook_endpoints/{id}/recover", HOOKS, {"since": 0}),
    Case("GET", DELIVERY, "/webhook_endpoints/{id}/deliveries/wh_1", HOOKS),
    Case("POST", f"{DELIVERY}/redeliver", "/webhook_endpoints/{id}/deliveries/wh_1/redeliver", HOOKS),
    Case("GET", RECOVERY, "/webhook_endpoints/{id}/recoveries/whrec_1", HOOKS),
    Case("GET", DELIVERY, "/webhook_endpoints/{own}/deliveries/{id}", TOLD, needs=_own_endpoint),
    Case(
        "POST", f"{DELIVERY}/redeliver", "/webhook_endpoints/{own}/deliveries/{id}/redeliver", TOLD, needs=_own_endpoint
    ),
    Case("GET", RECOVERY, "/webhook_endpoints/{own}/recoveries/{id}", ("recovery",), needs=_own_endpoint),
    Case("GET", "/v1/webhook_events", "/webhook_events?after={id}", ("told",)),
    Case("GET", "/v1/webhook_events/{webhook_event_id}", "/webhook_events/{id}", ("told",)),
    Case(
        "POST",
        "/v1/fine_tuning/jobs",
        "/fine_tuning/jobs",
        FILES,
        {"model": "gpt-4o-mini", "training_file": "{id}"},
    ),
    Case(
        "POST",
        "/v1/fine_tuning/jobs",
        "/fine_tuning/jobs",
        FILES,
        {"model": "gpt-4o-mini", "training_file": "{own}", "validation_file": "{id}"},
        needs=_own_file,
    ),
    Case(
        "POST",
        "/v1/fine_tuning/jobs",
        "/fine_tuning/jobs",
        MODELS,
        {"model": "{id}", "training_file": "{own}"},
        needs=_own_file,
    ),
    Case("GET", "/v1/datasets", "/datasets?after={id}", FILES),
    Case("GET", DATASET, "/datasets/{id}", FILES),
    Case("GET", f"{DATASET}/errors", "/datasets/{id}/errors", FILES),
    Case("GET", f"{DATASET}/preview", "/datasets/{id}/preview", FILES),
    Case("GET", f"{DATASET}/estimate", "/datasets/{id}/estimate?model=gpt-4o-mini", FILES),
    Case("GET", f"{DATASET}/compare", "/datasets/{id}/compare?other={own}", FILES, needs=_own_file),
    Case("GET", f"{DATASET}/compare", "/datasets/{own}/compare?other={id}", FILES, needs=_own_file),
    Case("POST", "/v1/datasets", "/datasets", FILES, {"file_id": "{id}"}),
    Case("POST", "/v1/chat/completions", "/chat/completions", MODELS, {"model": "{id}", "messages": QUESTION}),
]
TAKES_NO_ID = {
    ("POST", "/v1/files"),
    ("POST", "/v1/uploads"),
    ("GET", "/v1/models"),
    ("POST", "/v1/webhook_endpoints"),
    ("GET", "/v1/webhook_event_types"),
    ("POST", "/v1/webhook_events"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/docs/oauth2-redirect"),
}
ADMINISTRATION = ("/v1/organization/", "/v1/projects/")
FOR_PROVIDERS = {("POST", "/v1/provider_webhooks/{credential_id}")}  # opened by a signature alone
LISTS = ("/files", "/datasets", "/fine_tuning/jobs", "/models", "/webhook_endpoints", "/webhook_events")


def routes(server: str) -> set[tuple[str, str]]:
    """Every method and path that the app answers."""
    found = set()
    for route in create_app().routes:
        for each in [*getattr(route, "effective_candidates", list)()] or [route]:
            methods = getattr(each, "methods", None) or set()
            found |= {(method, getattr(each, "path", "")) for method in methods if method != HTTPMethod.HEAD}
    return found


def test_every_route_has_a_case(server: str) -> None:
    known = {(case.method, case.route) for case in CASES} | TAKES_NO_ID | FOR_PROVIDERS
    for_projects = {route for route in routes(server) if not route[1].startswith(ADMINISTRATION)}
    assert len(for_projects) > 20
    assert for_projects - known == set(), "say here how these refuse what is another project's"
    assert known - for_projects == set(), "these are no routes any more"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.method} {case.path} {list(case.body or '')}")
def test_what_is_alices_is_not_found_as_if_it_had_never_been(bob: Person, alices: Ids, case: Case) -> None:
    own = case.needs(bob) if case.needs else ""
    for kind in case.kinds:
        id = alices[kind]
        never = re.sub(r"[^:_-]+$", NEVER[1:][: len(re.split(r"[:_-]", id)[-1])], id)
        hers, nobodys = case.ask(bob, id, own), case.ask(bob, never, own)
        assert (hers.status, nobodys.status) == (404, 404), f"{kind}: {hers.text} {nobodys.text}"
        assert hers.text.replace(id, "{id}") == nobodys.text.replace(never, "{id}")
        assert hers.headers.keys() == nobodys.headers.keys()


def test_nothing_that_bob_asked_has_touched_what_is_alices(alice: Person, bob: Person, alices: Ids) -> None:
    before = everything(alice, alices)
    for case in CASES:
        for kind in case.kinds:
            case.ask(bob, alices[kind], "")
    assert everything(alice, alices) == before


def everything(person: Person, ids: Ids) -> list[str]:
    paths = [
        *LISTS,
        f"/files/{ids['file']}/content",
        f"/fine_tuning/jobs/{ids['job']}/events?limit=1000",
        f"/fine_tuning/jobs/{ids['job']}/checkpoints",
        f"/webhook_endpoints/{ids['endpoint']}/deliveries",
    ]
    answers = [send(person, "GET", path) for path in paths]
    assert [answer.status for answer in answers] == [200] * len(paths)
    return [answer.text for answer in answers]


@pytest.mark.parametrize("path", LISTS)
def test_a_list_shows_nothing_of_hers(bob: Person, alices: Ids, path: str) -> None:
    answer = send(bob, "GET", path)
    assert answer.status == 200
    assert [kind for kind, id in alices.items() if id in answer.text] == []


def test_a_filter_by_her_metadata_finds_nothing(alice: Person, bob: Person) -> None:
    file_id = alice.upload()
    hers = [alice.create_job(training_file=file_id, metadata=metadata) for metadata in ({"team": "a"}, None)]
    assert bob.openai.fine_tuning.jobs.list(metadata={"team": "a"}).data == []
    assert set(hers).isdisjoint(job["id"] for job in send(bob, "GET", "/fine_tuning/jobs?metadata=null").json["data"])


def test_her_parts_do_not_go_into_his_file(bob: Person, alices: Ids) -> None:
    own = _own_upload(bob)
    order = {"part_ids": [alices["part"]]}
    answer = send(bob, "POST", f"/uploads/{own}/complete", json.dumps(order).encode())
    assert (answer.status, answer.error["param"]) == (400, "part_ids")


def test_her_job_tells_bob_nothing_by_its_webhook(alice: Person, bob: Person, receiver: Receiver) -> None:
    create(bob, url=receiver.url, event_types=["fine_tuning.job.cancelled"])
    alice.openai.fine_tuning.jobs.cancel(alice.create_job())
    work(2)
    assert receiver.received == []


def test_even_alice_finds_nothing_under_the_providers_ids(alice: Person, alices: Ids) -> None:
    job, file = alices["provider_job"], alices["provider_file"]
    for path in (f"/files/{file}", f"/files/{file}/content", f"/fine_tuning/jobs/{job}"):
        assert send(alice, "GET", path).status == 404


def test_a_projects_key_opens_nothing_of_the_administration(server: str, alice: Person, bob: Person) -> None:
    """Not its own project's either, and whatever the request says beside."""
    of_admins = [(method, path) for method, path in routes(server) if path.startswith(ADMINISTRATION)]
    assert len(of_admins) > 20
    for method, path in of_admins:
        for project_id in (alice.project_id, bob.project_id):
            path = re.sub(r"\{.*?\}", "x", path.removeprefix("/v1").replace("{project_id}", project_id))
            answer = send(bob, method, path, b'{"name": "mine"}' if method == "POST" else None)
            assert (answer.status, answer.error["code"]) == (403, "insufficient_permissions"), f"{method} {path}"

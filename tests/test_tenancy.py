"""Bob asks every route for what is Alice's: it is not found, in the very words for what never was."""

import json
import re
from collections.abc import Iterator
from http import HTTPMethod

import pytest

from api.main import create_app
from tests.api.operations import PREFIX, operations
from tests.api.people import member
from tests.api.test_webhook_endpoints import create
from tests.api.training import model_of, train
from tests.api.wire import send
from tests.namings import BY_PATH, Naming, difference, namings, never
from tests.servers import Receiver
from tests.world import Person, Sandbox, empty_tables, work

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
    deleted_job, job = train(alice, sandbox), train(alice, sandbox)
    work()
    deleted_endpoint = create(alice).id
    deleted_file = alice.upload()
    for path in (
        f"/models/{model_of(deleted_job)}",
        f"/webhook_endpoints/{deleted_endpoint}",
        f"/files/{deleted_file}",
    ):
        alice.http.delete(path).raise_for_status()
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
        "deleted_model": model_of(deleted_job),
        "deleted_endpoint": deleted_endpoint,
        "deleted_file": deleted_file,
        "provider_job": provider_job,
        "provider_file": provider_file,
    }


@pytest.fixture(scope="module")
def bobs(bob: Person) -> Ids:
    """What a request of Bob's needs besides what it names: by the names of the parameters."""
    file_id = bob.upload()
    ids = {
        "file_id": file_id,
        "dataset_id": file_id,
        "fine_tuning_job_id": bob.create_job(training_file=file_id),
        "webhook_endpoint_id": create(bob).id,
        "upload_id": _own_upload(bob),
        "model": "gpt-4o-mini",
    }
    work()
    return ids


@pytest.fixture(scope="module")
def all_namings(server: str) -> list[Naming]:
    """Every way to name something to a route for projects."""
    for_projects = [each for each in operations(create_app().openapi()) if not each.is_for_admins]
    return namings([each for each in for_projects if (each.method, f"{PREFIX}{each.path}") not in FOR_PROVIDERS])


def _own_upload(person: Person) -> str:
    return person.openai.uploads.create(filename="a", bytes=1, purpose="fine-tune", mime_type="text/jsonl").id


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


def test_every_route_has_a_case(server: str, all_namings: list[Naming]) -> None:
    known = {(naming.operation.method, f"{PREFIX}{naming.operation.path}") for naming in all_namings}
    known |= TAKES_NO_ID | FOR_PROVIDERS
    documented = {
        (method, path.replace(":path}", "}")) for method, path in routes(server) if not path.startswith(ADMINISTRATION)
    }
    assert len(documented) > 20
    assert documented - known == set(), "say in tests/namings.py what these name, or here that they name nothing"
    assert known - documented == set(), "these are no routes any more"


def test_what_is_alices_is_not_found_as_if_it_had_never_been(
    bob: Person, bobs: Ids, alices: Ids, all_namings: list[Naming]
) -> None:
    told, asked = [], 0
    for naming in all_namings:
        for kind in naming.kinds:
            id, other = alices[kind], never(alices[kind])
            hers, nobodys = naming.ask(bob, id, bobs), naming.ask(bob, other, bobs)
            if apart := difference(hers, id, nobodys, other):
                told.append(f"{naming}, {kind}: {apart}")
            if hers.status != 404 and not naming.may_answer_anything:
                told.append(f"{naming}, {kind}: {hers.status} {hers.text[:300]}")
            asked += 1
    assert told == []
    assert asked > 120


def test_what_bob_himself_has_deleted_is_not_found_either(bob: Person, bobs: Ids, all_namings: list[Naming]) -> None:
    endpoint_id, file_id = create(bob).id, bob.upload()
    bob.http.delete(f"/webhook_endpoints/{endpoint_id}")
    bob.http.delete(f"/files/{file_id}")
    for kind, id in (("deleted_endpoint", endpoint_id), ("deleted_file", file_id)):
        for naming in all_namings:
            is_log = "/deliveries" in naming.operation.path or "/recoveries" in naming.operation.path  # which stays
            if kind in naming.kinds and naming.name not in {*BY_PATH, "object"} and not is_log:
                his, nobodys = naming.ask(bob, id, bobs), naming.ask(bob, never(id), bobs)
                assert difference(his, id, nobodys, never(id)) is None, naming


@pytest.mark.parametrize("header", ["openai-project", "openai-organization"])
def test_a_header_opens_no_other_project(
    alice: Person, bob: Person, bobs: Ids, alices: Ids, all_namings: list[Naming], header: str
) -> None:
    for naming in all_namings:
        if naming.where == "path" and naming.operation.method == "GET" and "job" in naming.kinds:
            path = naming.operation.address({**bobs, naming.name: alices["job"]})
            hers = send(bob, "GET", path, headers={header: alice.project_id})
            nobodys = send(bob, "GET", path, headers={header: never(alice.project_id)})
            assert hers.status in {401, 403, 404}
            assert difference(hers, alice.project_id, nobodys, never(alice.project_id)) is None, naming


def test_her_idempotency_key_means_nothing_to_him(alice: Person, bob: Person) -> None:
    body, key = b'{"event_type": "dataset.failed"}', {"idempotency-key": "hers"}
    hers, his = (send(person, "POST", "/webhook_events", body, key) for person in (alice, bob))
    assert (hers.status, his.status) == (200, 200)
    assert hers.json["id"] != his.json["id"]
    assert "idempotent-replayed" not in his.headers


def test_nothing_that_bob_asked_has_touched_what_is_alices(
    alice: Person, bob: Person, bobs: Ids, alices: Ids, all_namings: list[Naming]
) -> None:
    before = everything(alice, alices)
    for naming in all_namings:
        for kind in naming.kinds:
            naming.ask(bob, alices[kind], bobs)
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

"""Bob requests everything of Alice's by its id: the answers are the same as for ids that never existed."""

import json
import re
from collections.abc import Iterator
from http import HTTPMethod

import pytest

from api.main import create_app
from tests.api.module_person import alice, module_person
from tests.api.operations import PREFIX, operations
from tests.api.test_webhook_endpoints import create
from tests.api.wire import send
from tests.id_references import BY_PATH, IdReference, difference, id_references, never_existed
from tests.owned_ids import Ids, create_upload, ids_of_everything
from tests.servers import Receiver
from tests.world import Person, Sandbox, work

__all__ = ["alice"]


@pytest.fixture(scope="module")
def bob(server: str) -> Iterator[Person]:
    with module_person(server, "bob's team") as bob:
        yield bob


@pytest.fixture(scope="module")
def alices(alice: Person, sandbox_server: Sandbox) -> Ids:
    """The ids of everything that Alice can own, by kind."""
    with Receiver.listening() as receiver:
        return ids_of_everything(alice, sandbox_server, receiver)


@pytest.fixture(scope="module")
def bobs(bob: Person) -> Ids:
    """Bob's own ids, by parameter, for the rest of his requests."""
    file_id = bob.upload()
    ids = {
        "file_id": file_id,
        "dataset_id": file_id,
        "fine_tuning_job_id": bob.create_job(training_file=file_id),
        "webhook_endpoint_id": create(bob).id,
        "upload_id": create_upload(bob),
        "model": "gpt-4o-mini",
    }
    work()
    return ids


@pytest.fixture(scope="module")
def references(server: str) -> list[IdReference]:
    """Every parameter of a project's route that takes an id."""
    for_projects = [each for each in operations(create_app().openapi()) if not each.is_for_admins]
    return id_references([each for each in for_projects if (each.method, f"{PREFIX}{each.path}") not in FOR_PROVIDERS])


TAKES_NO_ID = {
    ("POST", "/v1/files"),
    ("POST", "/v1/uploads"),
    ("GET", "/v1/fine_tuning/model_limits"),
    ("GET", "/v1/models"),
    ("GET", "/v1/project"),
    ("POST", "/v1/webhook_endpoints"),
    ("GET", "/v1/webhook_event_types"),
    ("POST", "/v1/webhook_events"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/"),
    *((method, "/v1/responses/{rest}") for method in ("GET", "POST", "DELETE")),  # there are none
}
ADMINISTRATION = ("/v1/organization/", "/v1/projects/")
PAGES = "/dashboard"  # tests/dashboard/test_pages_of_others.py opens them
FOR_PROVIDERS = {("POST", "/v1/provider_webhooks/{credential_id}")}  # opened by a signature alone
LISTS = ("/files", "/datasets", "/fine_tuning/jobs", "/models", "/deployments", "/webhook_endpoints", "/webhook_events")


def routes(server: str) -> set[tuple[str, str]]:
    """Return every method and path that the app answers."""
    found = set()
    for route in create_app().routes:
        for each in [*getattr(route, "effective_candidates", list)()] or [route]:
            methods = getattr(each, "methods", None) or set()
            found |= {(method, getattr(each, "path", "")) for method in methods if method != HTTPMethod.HEAD}
    return found


def test_every_route_has_a_case(server: str, references: list[IdReference]) -> None:
    known = {(reference.operation.method, f"{PREFIX}{reference.operation.path}") for reference in references}
    known |= TAKES_NO_ID | FOR_PROVIDERS
    documented = {
        (method, path.replace(":path}", "}"))
        for method, path in routes(server)
        if not path.startswith((*ADMINISTRATION, PAGES))
    }
    assert len(documented) > 20
    assert documented - known == set(), "list their parameters in tests/id_references.py, or here that they take no id"
    assert known - documented == set(), "these routes no longer exist"


def test_alices_ids_are_answered_like_ids_that_never_existed(
    bob: Person, bobs: Ids, alices: Ids, references: list[IdReference]
) -> None:
    differences, requests = [], 0
    for reference in references:
        for kind in reference.kinds:
            id, other = alices[kind], never_existed(alices[kind])
            hers, nobodys = reference.request(bob, id, bobs), reference.request(bob, other, bobs)
            if apart := difference(hers, id, nobodys, other):
                differences.append(f"{reference}, {kind}: {apart}")
            if hers.status != 404 and not reference.may_answer_anything:
                differences.append(f"{reference}, {kind}: {hers.status} {hers.text[:300]}")
            requests += 1
    assert differences == []
    assert requests > 120


def test_bobs_own_deleted_ids_are_answered_like_ids_that_never_existed(
    bob: Person, bobs: Ids, references: list[IdReference]
) -> None:
    endpoint_id, file_id = create(bob).id, bob.upload()
    bob.http.delete(f"/webhook_endpoints/{endpoint_id}")
    bob.http.delete(f"/files/{file_id}")
    for kind, id in (("deleted_endpoint", endpoint_id), ("deleted_file", file_id)):
        for reference in references:
            # The log of deliveries and recoveries is kept after the endpoint's deletion.
            is_log = "/deliveries" in reference.operation.path or "/recoveries" in reference.operation.path
            if kind in reference.kinds and reference.name not in {*BY_PATH, "object"} and not is_log:
                his, nobodys = reference.request(bob, id, bobs), reference.request(bob, never_existed(id), bobs)
                assert difference(his, id, nobodys, never_existed(id)) is None, reference


@pytest.mark.parametrize("header", ["openai-project", "openai-organization"])
def test_a_header_gives_no_access_to_another_project(
    alice: Person, bob: Person, bobs: Ids, alices: Ids, references: list[IdReference], header: str
) -> None:
    for reference in references:
        if reference.where == "path" and reference.operation.method == "GET" and "job" in reference.kinds:
            path = reference.operation.address({**bobs, reference.name: alices["job"]})
            hers = send(bob, "GET", path, headers={header: alice.project_id})
            nobodys = send(bob, "GET", path, headers={header: never_existed(alice.project_id)})
            assert hers.status in {401, 403, 404}
            assert difference(hers, alice.project_id, nobodys, never_existed(alice.project_id)) is None, reference


def test_alices_idempotency_key_does_not_replay_for_bob(alice: Person, bob: Person) -> None:
    body, key = b'{"event_type": "dataset.failed"}', {"idempotency-key": "hers"}
    hers, his = (send(person, "POST", "/webhook_events", body, key) for person in (alice, bob))
    assert (hers.status, his.status) == (200, 200)
    assert hers.json["id"] != his.json["id"]
    assert "idempotent-replayed" not in his.headers


def test_bobs_requests_change_nothing_of_alices(
    alice: Person, bob: Person, bobs: Ids, alices: Ids, references: list[IdReference]
) -> None:
    before = everything(alice, alices)
    for reference in references:
        for kind in reference.kinds:
            reference.request(bob, alices[kind], bobs)
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
def test_bobs_lists_show_nothing_of_alices(bob: Person, alices: Ids, path: str) -> None:
    answer = send(bob, "GET", path)
    assert answer.status == 200
    assert [kind for kind, id in alices.items() if id in answer.text] == []


def test_a_filter_by_alices_metadata_finds_nothing(alice: Person, bob: Person) -> None:
    file_id = alice.upload()
    hers = [alice.create_job(training_file=file_id, metadata=metadata) for metadata in ({"team": "a"}, None)]
    assert bob.openai.fine_tuning.jobs.list(metadata={"team": "a"}).data == []
    assert set(hers).isdisjoint(job["id"] for job in send(bob, "GET", "/fine_tuning/jobs?metadata=null").json["data"])


def test_alices_parts_cannot_complete_bobs_upload(bob: Person, alices: Ids) -> None:
    own = create_upload(bob)
    order = {"part_ids": [alices["part"]]}
    answer = send(bob, "POST", f"/uploads/{own}/complete", json.dumps(order).encode())
    assert (answer.status, answer.error["param"]) == (400, "part_ids")


def test_alices_job_sends_no_webhook_to_bob(alice: Person, bob: Person, receiver: Receiver) -> None:
    create(bob, url=receiver.url, event_types=["fine_tuning.job.cancelled"])
    alice.openai.fine_tuning.jobs.cancel(alice.create_job())
    work(2)
    assert receiver.received == []


def test_the_providers_ids_are_unknown_even_for_alice(alice: Person, alices: Ids) -> None:
    job, file = alices["provider_job"], alices["provider_file"]
    for path in (f"/files/{file}", f"/files/{file}/content", f"/fine_tuning/jobs/{job}"):
        assert send(alice, "GET", path).status == 404


def test_a_projects_key_cannot_use_the_administration(server: str, alice: Person, bob: Person) -> None:
    of_admins = [(method, path) for method, path in routes(server) if path.startswith(ADMINISTRATION)]
    assert len(of_admins) > 20
    for method, path in of_admins:
        for project_id in (alice.project_id, bob.project_id):
            path = re.sub(r"\{.*?\}", "x", path.removeprefix("/v1").replace("{project_id}", project_id))
            answer = send(bob, method, path, b'{"name": "mine"}' if method == "POST" else None)
            assert (answer.status, answer.error["code"]) == (403, "insufficient_permissions"), f"{method} {path}"

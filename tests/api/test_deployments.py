"""`/v1/deployments`, and chats with models that must be deployed first."""

from typing import Any

import httpx2
import pytest

from shared.database import transaction
from shared.deployments.models import Deployment
from shared.projects import service as projects
from tests.api.accounts import CHAT, path
from tests.api.accounts import admin as admin
from tests.api.training import model_of, train
from tests.deployed import World, trained
from tests.deployed import deploying_sandbox as deploying_sandbox
from tests.deployed import world as world
from tests.world import Person, Sandbox, row, step


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_deployment_shows_what_it_is(world: World) -> None:
    made = world.ask(idle_timeout=900).raise_for_status().json()
    assert made["id"].startswith("dep_")
    assert (made["object"], made["status"], made["idle_timeout"]) == ("deployment", "requested", 900)
    assert (made["model"], made["project_id"], made["provider"]) == (world.model, world.person.project_id, "azure")
    assert (made["reason"], made["ready_at"], made["price_per_hour"], made["cost"]) == (None, None, None, None)
    assert world.shown(made["id"]) == made


def test_the_list_is_filtered_and_paged_newest_first(world: World) -> None:
    ids = []
    for _ in range(3):
        ids.append(world.asked())
        world.person.http.delete(f"/deployments/{ids[-1]}")
    ids.append(world.asked())
    first = world.person.http.get("/deployments", params={"limit": 3}).json()
    rest = world.person.http.get("/deployments", params={"limit": 3, "after": first["last_id"]}).json()
    assert [each["id"] for each in first["data"] + rest["data"]] == ids[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    stopped = world.person.http.get("/deployments", params={"status": "stopped", "model": world.model}).json()["data"]
    assert [each["id"] for each in stopped] == ids[2::-1]
    assert world.person.http.get("/deployments", params={"model": "ft:none"}).json()["data"] == []


def test_a_model_has_one_deployment_at_a_time(world: World) -> None:
    id = world.asked()
    again = world.ask()
    assert code_of(again) == (400, "model_already_deployed")
    assert id in again.json()["error"]["message"]
    world.person.http.delete(f"/deployments/{id}")
    assert world.ask().status_code == 200


def test_a_repeated_request_with_a_key_makes_one(world: World) -> None:
    key = {"idempotency-key": "once"}
    made = [world.person.http.post("/deployments", json={"model": world.model}, headers=key).json() for _ in range(2)]
    assert made[0] == made[1]


def test_where_a_model_needs_no_deployment_it_is_refused(alice: Person, sandbox: Sandbox) -> None:
    model = model_of(train(alice, sandbox))
    assert code_of(alice.http.post("/deployments", json={"model": model})) == (400, "deployment_not_needed")
    assert alice.http.post("/chat/completions", json={**CHAT, "model": model}).status_code == 200


def test_only_what_a_job_of_the_project_has_made_is_deployed(world: World) -> None:
    new = {"model": "ft:gpt-4o-mini:acme::none"}
    assert code_of(world.person.http.post("/deployments", json=new)) == (404, "model_not_found")


def test_a_base_model_is_not_deployed_and_not_said_to_be_unknown(world: World) -> None:
    base = next(each.id for each in world.person.openai.models.list() if not each.id.startswith("ft:"))
    answer = world.person.http.post("/deployments", json={"model": base})
    assert code_of(answer) == (400, "invalid_value")
    assert "is a base model: ask it by this name" in answer.json()["error"]["message"]


def test_another_project_finds_nothing_of_it(world: World, bob: Person) -> None:
    id = world.asked()
    for answer in (bob.http.get(f"/deployments/{id}"), bob.http.delete(f"/deployments/{id}")):
        assert code_of(answer) == (404, "not_found")
    assert code_of(bob.http.post("/deployments", json={"model": world.model})) == (404, "model_not_found")
    assert bob.http.get("/deployments").json()["data"] == []


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"idle_timeout": 599}, "idle_timeout"),
        ({"idle_timeout": -1}, "idle_timeout"),
        ({"idle_timeout": "900"}, "idle_timeout"),
        ({"idle_timeout": 30 * 86400 + 1}, "idle_timeout"),
        ({"provider_options": {"machines": 3}}, "provider_options.machines"),
        ({"provider_options": []}, "provider_options"),
        ({"machines": 3}, "machines"),
        ({"model": ""}, "model"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(world: World, values: dict[str, Any], param: str) -> None:
    answer = world.ask(**values)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_the_quota_bounds_what_runs(world: World, admin: httpx2.Client) -> None:
    admin.post(f"/organization/projects/{world.person.project_id}", json={"quotas": {"deployments": 1}})
    world.asked()
    other = trained(world.person, world.sandbox)
    answer = world.person.http.post("/deployments", json={"model": other})
    assert (*code_of(answer), answer.json()["error"]["param"]) == (429, "quota_exceeded", "deployments")
    assert world.person.http.get("/project").json()["quotas"]["deployments"] == {"limit": 1, "used": 1}


def test_a_key_needs_the_scope(world: World, admin: httpx2.Client) -> None:
    keys = f"/organization/projects/{world.person.project_id}/api_keys"
    made = admin.post(keys, json={"name": "reads", "scopes": ["deployments:read"]}).raise_for_status().json()
    secret = made.get("value") or made["api_key"]["value"]
    headers = {"authorization": f"Bearer {secret}"}
    assert world.person.http.get("/deployments", headers=headers).status_code == 200
    refused = world.person.http.post("/deployments", json={"model": world.model}, headers=headers)
    assert code_of(refused) == (403, "insufficient_permissions")


def test_a_model_that_is_not_deployed_says_what_to_do(world: World) -> None:
    answer = world.chat()
    assert code_of(answer) == (400, "model_not_deployed")
    assert "POST /v1/deployments" in answer.json()["error"]["message"]


def test_while_it_starts_a_chat_is_asked_to_come_again(world: World) -> None:
    id = world.asked()
    for _ in range(2):
        answer = world.chat()
        assert code_of(answer) == (429, "deployment_starting")
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["x-should-retry"] == "true"
        step(Deployment, id)


def test_a_deployed_model_is_chatted_with_by_its_own_name(world: World) -> None:
    id = world.ready()
    assert row(Deployment, id).chat_model != world.model
    answer = world.chat().raise_for_status().json()
    assert answer["choices"][0]["message"]["content"] == "Answer 7"
    assert "data: [DONE]" in world.chat(stream=True).text
    assert world.shown(id)["last_chat_at"] is not None
    world.person.http.delete(f"/deployments/{id}")
    assert code_of(world.chat()) == (400, "model_not_deployed")


def test_a_base_model_needs_no_deployment(world: World) -> None:
    assert world.chat(model="gpt-4o-mini").status_code == 200


def test_the_time_of_a_chat_is_written_once_a_minute(world: World) -> None:
    id = world.ready()
    world.chat()
    noted = row(Deployment, id).last_chat_at
    world.chat()
    assert row(Deployment, id).last_chat_at == noted


def test_neither_the_model_nor_the_account_of_a_deployment_can_be_deleted(world: World, admin: httpx2.Client) -> None:
    id = world.ready()
    assert code_of(world.person.http.delete(f"/models/{world.model}")) == (400, "model_in_use")
    account = path(world.person, world.credential_id)
    assert code_of(admin.delete(account)) == (400, "credential_in_use")
    world.person.http.delete(f"/deployments/{id}")
    assert code_of(admin.delete(account)) == (400, "credential_in_use"), "what runs could not be stopped without a key"
    step(Deployment, id)
    assert admin.delete(account).status_code == 200


def test_the_deployments_of_an_archived_project_are_stopped(world: World, admin: httpx2.Client) -> None:
    id = world.ready()
    admin.post(f"/organization/projects/{world.person.project_id}/archive").raise_for_status()
    step(Deployment, id)
    found = row(Deployment, id)
    assert (found.status, found.reason["code"], world.running()) == ("stopped", "project_archived", [])


def test_a_project_deploys_on_success_if_it_wants_to(world: World, admin: httpx2.Client) -> None:
    project = f"/organization/projects/{world.person.project_id}"
    assert admin.post(project, json={"deploy_on_success": True}).json()["deploy_on_success"] is True
    model = trained(world.person, world.sandbox)
    [made] = world.person.http.get("/deployments").json()["data"]
    assert (made["model"], made["status"]) == (model, "requested")
    events = world.person.http.get(f"/fine_tuning/jobs/{made['fine_tuning_job_id']}/events").json()["data"]
    assert any(made["id"] in event["message"] for event in events)


def test_only_a_key_that_may_deploy_has_a_job_do_so(alice: Person) -> None:
    with transaction() as session:
        _, secret = projects.create_api_key(session, alice.project_id, "narrow", scopes=["jobs:write"])
    body = {"model": "gpt-4o-mini", "training_file": alice.upload()}
    for is_wanted, status in ((True, 403), (False, 200), (None, 200)):
        answer = alice.http.post(
            "/fine_tuning/jobs",
            json={**body, "deploy_on_success": is_wanted},
            headers={"authorization": f"Bearer {secret}"},
        )
        assert answer.status_code == status
        assert ((answer.json()["error"] or {}).get("code") == "insufficient_permissions") is (is_wanted is True)


def test_a_job_succeeds_though_its_model_cannot_be_deployed(world: World, admin: httpx2.Client) -> None:
    project, more = f"/organization/projects/{world.person.project_id}", {"quotas": {"deployments": 0}}
    admin.post(project, json={"deploy_on_success": True, **more}).raise_for_status()
    model = trained(world.person, world.sandbox)
    assert world.person.http.get("/deployments").json()["data"] == []
    job = world.person.http.get("/fine_tuning/jobs").json()["data"][0]
    assert (job["status"], job["fine_tuned_model"]) == ("succeeded", model)
    events = world.person.http.get(f"/fine_tuning/jobs/{job['id']}/events").json()["data"]
    assert any("is not deployed" in event["message"] and event["level"] == "warn" for event in events)


def test_what_is_asked_for_and_ended_is_in_the_audit_log(world: World, admin: httpx2.Client) -> None:
    id = world.asked()
    world.person.http.delete(f"/deployments/{id}")
    entries = admin.get("/organization/audit_logs", params={"limit": 100}).json()["data"]
    types = [entry["type"] for entry in entries if id in str(entry)]
    assert types == ["deployment.stopped", "deployment.created"]

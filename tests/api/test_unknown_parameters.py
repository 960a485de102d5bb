"""Query parameters, JSON keys and form fields that a route does not have are refused, each by its name."""

from typing import Any

import pytest
from openai import BadRequestError

from shared.database import transaction
from shared.projects import service as projects
from tests.api.module_person import alice
from tests.api.operations import operations
from tests.api.test_health import ask
from tests.api.wire import MULTIPART, form, part, send
from tests.world import Person

__all__ = ["alice"]

SIGNED = "/provider_webhooks/"  # a provider may add what it likes to its own address


def test_every_operation_refuses_a_query_parameter_that_it_does_not_have(
    server: str, alice: Person, admin_key: str
) -> None:
    found = operations(ask(server, "/openapi.json").json)
    assert len(found) > 60
    for each in found:
        if each.path.startswith(SIGNED):
            continue
        headers = {"authorization": f"Bearer {admin_key}"} if each.is_for_admins else {}
        answer = send(alice, each.method, each.address({}) + "?colour=red", headers=headers)
        assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "unknown_parameter", "colour"), (
            each
        )
        assert "`colour`" in answer.error["message"]


@pytest.fixture(scope="module")
def admin_key(alice: Person) -> str:
    with transaction() as session:
        return projects.create_api_key(session, None, "operator")[1]


QUERIES = [  # path and query, the first unknown parameter, what the sentence has
    ("/fine_tuning/jobs?colour=red", "colour", ["`colour`. Known here: after, created_at[gt]"]),
    ("/fine_tuning/jobs?Limit=3", "Limit", ["did you mean `limit`?"]),
    ("/fine_tuning/jobs?statos=failed", "statos", ["did you mean `status`?"]),
    (
        "/fine_tuning/jobs?a=1&b=2&limit=3&statu=x",
        "a",
        ["parameters", "`a`", "`b`", "`statu` (did you mean `status`?)"],
    ),
    ("/fine_tuning/jobs?status[]=failed", "status[]", ["did you mean `status`?"]),
    ("/fine_tuning/jobs?created_at[from]=1", "created_at[from]", ["did you mean `created_at["]),
    ("/fine_tuning/jobs?metadatas[k]=v", "metadatas[k]", ["did you mean `metadata`?"]),
    ("/fine_tuning/jobs?metadata[=v", None, ["Unknown query parameter"]),
    ("/files?purposes=fine-tune", "purposes", ["did you mean `purpose`?"]),
    ("/files?file_name=a.jsonl", "file_name", ["did you mean `filename`?"]),
    ("/models?limit=3", "limit", ["`limit`"]),
    ("/models/gpt-4o-mini?verbose=1", "verbose", ["`verbose`"]),
    ("/fine_tuning/jobs/ftjob-x/events?stream=true", "stream", ["`stream`"]),
    ("/files?api-version=preview", "api-version", ["`api-version` (Azure's: it is ignored with the header api-key"]),
    ("/files?sk-tun-secret=1", None, ["a name that is no query parameter"]),
    ("/files?sk-tun-secret=1&colour=2", None, ["`colour`", "1 more"]),
    ("/files?" + "a" * 65 + "=1", None, ["a name that is no query parameter"]),
    ("/files?" + "&".join(f"k{n}=1" for n in range(100)), "k0", ["`k9`", "90 more"]),
]


@pytest.mark.parametrize(("path", "param", "words"), QUERIES)
def test_an_unknown_query_parameter_is_named_with_the_nearest_known_one(
    alice: Person, path: str, param: str | None, words: list[str]
) -> None:
    answer = send(alice, "GET", path)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "unknown_parameter", param)
    assert all(each in answer.error["message"] for each in words), answer.error["message"]
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["/files?colour=red", "/organization/projects?colour=red"])
@pytest.mark.parametrize("key", ["", "Bearer sk-tun-unknown"])
def test_the_key_is_checked_before_the_query(alice: Person, path: str, key: str) -> None:
    assert send(alice, "GET", path, headers={"authorization": key}).status == 401


JOB = {"model": "gpt-4o-mini", "training_file": "file-x"}
BODIES: list[tuple[dict[str, Any], str | None, list[str]]] = [
    ({**JOB, "colour": 3}, "colour", ["`colour`. Known here: deploy_on_success, from_job, "]),
    ({**JOB, "nEpochs": 3}, "nEpochs", ["did you mean `hyperparameters.n_epochs`?"]),
    ({**JOB, "beta": 0.1}, "beta", ["did you mean `method.dpo.hyperparameters.beta`?"]),
    ({"model": "gpt-4o-mini", "trainingFile": "file-x"}, "trainingFile", ["did you mean `training_file`?"]),
    ({**JOB, "Seed": 3, "sufix": "a"}, "Seed", ["`Seed` (did you mean `seed`?)", "`sufix` (did you mean `suffix`?)"]),
    (
        {**JOB, "method": {"type": "dpo", "dpo": {"hyperparameters": {"betta": 1}}}},
        "method.dpo.hyperparameters.betta",
        ["in method.dpo.hyperparameters", "did you mean `beta`?"],
    ),
    (
        {**JOB, "colour": 1, "hyperparameters": {"epochs": 3}},
        "hyperparameters.epochs",
        ["`colour`", "in hyperparameters: `epochs` (did you mean `n_epochs`?)"],
    ),
    (
        {**JOB, "integrations": [{"type": "wandb", "wandb": {"project": "a", "projekt": "b"}}]},
        "integrations.0.wandb.projekt",
        ["in integrations.0.wandb", "did you mean `project`?"],
    ),
    ({**JOB, "sk-tun-secret": 1}, None, ["a name that is no parameter"]),
    ({"modell": "gpt-4o-mini", "seed": "many"}, "modell", ["did you mean `model`?"]),
    ({**JOB, **{f"k{n}": n for n in range(100)}}, "k0", ["`k9`", "90 more"]),
]


@pytest.mark.parametrize(("body", "param", "words"), BODIES)
def test_every_unknown_key_of_a_body_is_named_with_the_nearest_known_one(
    alice: Person, body: dict[str, Any], param: str | None, words: list[str]
) -> None:
    answer = alice.http.post("/fine_tuning/jobs", json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unknown_parameter", param)
    assert all(each in error["message"] for each in words), error["message"]
    assert "secret" not in answer.text


def test_the_sdk_says_which_extra_key_is_unknown(alice: Person) -> None:
    with pytest.raises(BadRequestError) as refused:
        alice.openai.fine_tuning.jobs.create(model="gpt-4o-mini", training_file="file-x", extra_body={"n_epoch": 3})
    assert (refused.value.code, refused.value.param) == ("unknown_parameter", "n_epoch")


def test_every_unknown_field_of_a_form_is_named(alice: Person) -> None:
    body = form(part("file", b"{}", "a.jsonl"), part("porpose", b"fine-tune"), part("colour", b"red"))
    error = send(alice, "POST", "/files", body, {"content-type": MULTIPART}).error
    assert (error["code"], error["param"]) == ("unknown_parameter", "porpose")
    assert "`porpose` (did you mean `purpose`?)" in error["message"]
    assert "`colour`" in error["message"]


NOT_JSON = [
    ("application/x-www-form-urlencoded", "as application/x-www-form-urlencoded"),
    ("text/plain; charset=utf-8", "as text/plain"),
    ("application/octet-stream", "with another content type"),
    ("sk-tun-secret/x", "with another content type"),
    ("", "without a content type"),
]


@pytest.mark.parametrize(("content_type", "words"), NOT_JSON)
@pytest.mark.parametrize("path", ["/fine_tuning/jobs", "/webhook_endpoints", "/uploads", "/datasets"])
def test_json_with_another_content_type_is_told_about_the_header(
    alice: Person, path: str, content_type: str, words: str
) -> None:
    answer = send(alice, "POST", path, b'{"model": "gpt-4o-mini"}', {"content-type": content_type})
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "invalid_content_type", "Content-Type")
    assert words in answer.error["message"]
    assert "send JSON, with the header Content-Type: application/json" in answer.error["message"]
    assert "secret" not in answer.text


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8", "application/x+json"])
def test_any_json_type_is_read(alice: Person, content_type: str) -> None:
    answer = send(alice, "POST", "/fine_tuning/jobs", b"[]", {"content-type": content_type})
    assert answer.error["code"] == "invalid_value"

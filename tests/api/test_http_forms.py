"""Addresses as proxies and clients change them, and Azure's clients."""

from collections.abc import Iterator

import pytest
from openai import AzureOpenAI, NotFoundError, OpenAI

from tests.api.module_person import alice
from tests.api.wire import send
from tests.world import Person, lines

__all__ = ["alice"]


def at_root(person: Person) -> Person:
    """The same person, whose paths begin at the root of the server."""
    return Person(person.base_url.removesuffix("/v1"), person.api_key, person.project_id)


ADDRESSES = [
    "/v1/files/",
    "//v1/files",
    "/v1//files",
    "///v1///files//",
    "/v1/files/?limit=1",
    "/openai/v1/files",
    "/openai/v1/files/?api-version=preview",
    "/openai/files?api-version=2025-04-01-preview",
    "//openai//v1//files",
    "/openai/deployments/gpt-4o-mini/files?api-version=1&limit=1",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_as_proxies_and_clients_change_it_reaches_the_route(alice: Person, address: str) -> None:
    answer = send(at_root(alice), "GET", address)
    assert (answer.status, answer.json["object"]) == (200, "list")


@pytest.mark.parametrize("address", ["/files", "/models/gpt-4o", "/chat/completions"])
def test_an_address_without_v1_is_told_so(alice: Person, address: str) -> None:
    answer = send(at_root(alice), "GET", address)
    assert (answer.status, answer.error["code"]) == (404, "unknown_url")
    assert f"Did you mean /v1{address}?" in answer.error["message"]


@pytest.mark.parametrize("address", ["/v1/v1/files", "/v1/v1/v1/files?limit=1", "/v1/v1/fine_tuning/jobs"])
def test_an_address_with_v1_twice_is_told_so(alice: Person, address: str) -> None:
    answer = send(at_root(alice), "POST", address)
    assert (answer.status, answer.error["code"]) == (404, "unknown_url")
    right = address.replace("/v1/v1/v1", "/v1").replace("/v1/v1", "/v1").partition("?")[0]
    assert answer.error["message"].endswith(f". Did you mean {right}? The base URL must end in /v1 once")


@pytest.mark.parametrize("address", ["/v1/nothing", "/v1/v1/nothing", "/v1/v1"])
def test_an_unknown_address_gets_no_hint(alice: Person, address: str) -> None:
    answer = send(at_root(alice), "GET", address)
    assert (answer.status, answer.error["message"]) == (404, f"Unknown request URL: GET {address}")


@pytest.mark.parametrize(
    "address", ["/openai", "/openai/", "/openai/v1", "/openaiv1/files", "/v1/openai/files", "/V1/files"]
)
def test_other_addresses_are_unknown(alice: Person, address: str) -> None:
    assert send(at_root(alice), "GET", address).status == 404


@pytest.mark.parametrize("model", ["ft:gpt-4o:a:b:c", "ft%3Agpt-4o%3Aa%3Ab%3Ac", "ft%253agpt-4o:a%253Ab:c"])
def test_colons_of_a_model_may_be_encoded_also_twice(alice: Person, model: str) -> None:
    assert "ft:gpt-4o:a:b:c" in send(alice, "GET", f"/models/{model}").error["message"]


@pytest.mark.parametrize("model", ["org/some-model", "org%2Fsome-model", "org%252fsome-model", "org//some-model/"])
def test_slashes_of_a_model_may_be_encoded_also_twice(alice: Person, model: str) -> None:
    assert "org/some-model" in send(alice, "GET", f"/models/{model}").error["message"]


API_KEYS = [  # the header api-key, the header authorization, the status
    ("{key}", None, 200),
    ("{key}", "", 200),
    ("{key}", "Basic YTpi", 200),
    ("sk-tun-unknown", None, 401),
    ("sk-tun-unknown", "Bearer {key}", 200),
    ("{key}", "Bearer sk-tun-unknown", 401),
    ("", None, 401),
]


@pytest.mark.parametrize(("api_key", "authorization", "status"), API_KEYS)
def test_the_header_of_azures_clients_has_the_key(
    alice: Person, api_key: str, authorization: str | None, status: int
) -> None:
    headers = {"api-key": api_key.format(key=alice.api_key)}
    if authorization is not None:
        headers["authorization"] = authorization.format(key=alice.api_key)
    answer = alice.http.build_request("GET", "/files?api-version=2025-01-01&limit=1", headers=headers)
    if authorization is None:
        del answer.headers["authorization"]
    assert alice.http.send(answer).status_code == status


def test_the_query_api_version_is_unknown_to_others(alice: Person) -> None:
    assert send(alice, "GET", "/files?api-version=1").error["code"] == "unknown_parameter"


@pytest.fixture
def azure(alice: Person) -> Iterator[AzureOpenAI]:
    endpoint = alice.base_url.removesuffix("/v1")
    with AzureOpenAI(
        azure_endpoint=endpoint, api_key=alice.api_key, api_version="2025-04-01-preview", max_retries=0
    ) as client:
        yield client


def test_azures_client_uploads_trains_and_lists(azure: AzureOpenAI, alice: Person) -> None:
    file = azure.files.create(file=("a.jsonl", lines()), purpose="fine-tune")
    job = azure.fine_tuning.jobs.create(model="gpt-4o-mini", training_file=file.id)
    assert azure.fine_tuning.jobs.retrieve(job.id).status == "validating_files"
    assert next(iter(azure.fine_tuning.jobs.list(limit=1))).id == job.id
    assert next(iter(azure.fine_tuning.jobs.list_events(job.id, limit=1))).object == "fine_tuning.job.event"
    assert azure.models.list().object == "list"
    assert azure.fine_tuning.jobs.cancel(job.id).status == "cancelled"


@pytest.mark.parametrize("model", ["ft:never:made", "org/never-made"])
def test_azures_client_chats_with_the_model_of_the_path(azure: AzureOpenAI, alice: Person, model: str) -> None:
    with pytest.raises(NotFoundError, match=model):
        azure.chat.completions.create(model=model, messages=[])
    path = f"/openai/deployments/{model}/chat/completions?api-version=1"
    for body in (b'{"messages": []}', b'{"model": "gpt-4o", "messages": []}'):
        answer = send(at_root(alice), "POST", path, body)
        assert answer.error["code"] == "model_not_found"
        assert model in answer.error["message"]


def test_openais_client_works_at_azures_newer_address(alice: Person) -> None:
    address = alice.base_url.removesuffix("/v1") + "/openai/v1/"
    with OpenAI(base_url=address, api_key=alice.api_key, default_query={"api-version": "preview"}) as client:
        assert client.files.list(limit=1).data is not None


def test_a_model_that_is_not_there_yet_is_explained(alice: Person) -> None:
    error = send(alice, "POST", "/chat/completions", b'{"model": null, "messages": []}').error
    assert (error["param"], error["code"]) == ("model", "invalid_value")
    assert "the job has no tuned model yet" in error["message"]

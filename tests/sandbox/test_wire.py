"""What holds for every answer: the key, the request id, the envelope of errors, and pages."""

from typing import Any

import pytest
from openai import AuthenticationError, BadRequestError

from tests.sandbox.process import Sandbox


def test_a_wrong_key_is_refused(sandbox: Sandbox) -> None:
    with sandbox.client(key="sk-wrong") as stranger, pytest.raises(AuthenticationError) as refused:
        stranger.models.list()
    assert (refused.value.code, refused.value.type) == ("invalid_api_key", "invalid_request_error")
    assert refused.value.request_id


@pytest.mark.parametrize("path", ["/v1/files", "/sandbox/faults"])
@pytest.mark.parametrize("header", ["", "Bearer", "Basic sk-sandbox", "sk-sandbox"])
def test_no_key_is_refused(sandbox: Sandbox, path: str, header: str) -> None:
    answer = sandbox.http.get(path, headers={"authorization": header})
    assert answer.status_code == 401
    assert answer.json()["error"].keys() == {"message", "type", "param", "code"}


def test_every_answer_has_a_request_id(sandbox: Sandbox) -> None:
    assert sandbox.openai.models.retrieve("gpt-4o")._request_id
    for path in ("/", "/v1/models", "/v1/nothing", "/v1/files/file-none"):
        assert sandbox.http.get(path).headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("method", "path", "request_", "status", "param", "code"),
    [
        ("GET", "/v1/nothing", {}, 404, None, None),
        ("PUT", "/v1/files", {}, 405, None, None),
        ("GET", "/v1/files?limit=0", {}, 400, "limit", "invalid_value"),
        ("GET", "/v1/files?limit=x", {}, 400, "limit", "invalid_value"),
        ("GET", "/v1/files?order=up", {}, 400, "order", "invalid_value"),
        ("GET", "/v1/fine_tuning/jobs?after=ftjob-none", {}, 400, "after", "invalid_value"),
        ("POST", "/v1/files", {"json": {}}, 400, None, None),
        ("POST", "/v1/fine_tuning/jobs", {"content": b"{"}, 400, None, None),
        ("POST", "/v1/fine_tuning/jobs", {"content": b"[" * 5000}, 400, None, None),
        ("POST", "/v1/fine_tuning/jobs", {"content": b'{"model": "\\ud800"}'}, 400, "model", "invalid_value"),
        ("POST", "/v1/fine_tuning/jobs", {"content": b""}, 400, None, "missing_required_parameter"),
        ("POST", "/v1/chat/completions", {"json": {"model": "gpt-4o"}}, 400, "messages", "missing_required_parameter"),
    ],
)
def test_a_bad_request_is_answered_in_the_envelope(
    sandbox: Sandbox, method: str, path: str, request_: dict[str, Any], status: int, param: str | None, code: str | None
) -> None:
    answer = sandbox.http.request(method, path, headers={"content-type": "application/json"}, **request_)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code)


def test_text_that_is_no_unicode_is_refused(sandbox: Sandbox) -> None:
    body = b'{"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": "\\ud800"}]}'
    assert sandbox.http.post(
        "/v1/chat/completions", content=body, headers={"content-type": "application/json"}
    ).is_client_error


def test_a_list_comes_in_pages(sandbox: Sandbox) -> None:
    made = [sandbox.upload(raw=b"x", purpose="user_data").id for _ in range(5)]
    assert [file.id for file in sandbox.openai.files.list(limit=2)] == made[::-1]
    assert [file.id for file in sandbox.openai.files.list(limit=2, order="asc", after=made[1])] == made[2:]


def test_a_page_of_files_names_its_ends(sandbox: Sandbox) -> None:
    assert sandbox.http.get("/v1/files").json() == {
        "object": "list",
        "data": [],
        "first_id": None,
        "last_id": None,
        "has_more": False,
    }
    made = [sandbox.upload(raw=b"x", purpose="user_data").id for _ in range(3)]
    page = sandbox.http.get("/v1/files", params={"limit": 2}).json()
    assert (page["first_id"], page["last_id"], page["has_more"]) == (made[2], made[1], True)


def test_a_page_of_jobs_does_not(sandbox: Sandbox) -> None:
    assert sandbox.http.get("/v1/fine_tuning/jobs").json() == {"object": "list", "data": [], "has_more": False}


def test_the_first_page_says_that_it_does_not_learn(sandbox: Sandbox) -> None:
    assert "does not learn" in sandbox.http.get("/").text


def test_the_sdk_names_what_was_wrong(sandbox: Sandbox) -> None:
    with pytest.raises(BadRequestError) as refused:
        sandbox.job(metadata={"key": "v" * 513})
    assert refused.value.param == "metadata.key"

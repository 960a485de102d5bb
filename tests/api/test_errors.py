"""Errors that every operation has in common: OpenAI's envelope, a request id and the right status."""

import re
from datetime import timedelta

import pytest
from openai import APIStatusError, AuthenticationError, OpenAI, PermissionDeniedError

from shared.database import transaction
from shared.db.times import utc_now
from shared.errors import Invalid
from shared.projects import service as projects
from shared.projects.models import ApiKey
from tests.api.module_person import alice
from tests.api.wire import MULTIPART, send
from tests.world import Person

__all__ = ["alice"]


OPERATIONS = [
    ("GET", "/files"),
    ("POST", "/files"),
    ("GET", "/files/file-x"),
    ("DELETE", "/files/file-x"),
    ("GET", "/files/file-x/content"),
    ("POST", "/fine_tuning/jobs"),
    ("GET", "/fine_tuning/jobs"),
    ("GET", "/fine_tuning/jobs/ftjob-x"),
    ("POST", "/fine_tuning/jobs/ftjob-x/cancel"),
    ("POST", "/fine_tuning/jobs/ftjob-x/pause"),
    ("POST", "/fine_tuning/jobs/ftjob-x/resume"),
    ("GET", "/fine_tuning/jobs/ftjob-x/events"),
    ("GET", "/fine_tuning/jobs/ftjob-x/checkpoints"),
    ("GET", "/models"),
    ("GET", "/models/gpt-4o"),
    ("DELETE", "/models/gpt-4o"),
    ("POST", "/chat/completions"),
    ("POST", "/webhook_endpoints"),
    ("GET", "/webhook_endpoints"),
    ("GET", "/webhook_endpoints/we_x"),
    ("DELETE", "/webhook_endpoints/we_x"),
    ("POST", "/webhook_endpoints/we_x"),
    ("POST", "/webhook_endpoints/we_x/rotate_secret"),
    ("POST", "/webhook_endpoints/we_x/test"),
    ("GET", "/webhook_endpoints/we_x/deliveries"),
    ("GET", "/webhook_endpoints/we_x/deliveries/wh_x"),
    ("POST", "/webhook_endpoints/we_x/deliveries/wh_x/redeliver"),
    ("POST", "/webhook_endpoints/we_x/recover"),
    ("GET", "/webhook_endpoints/we_x/recoveries/whrec_x"),
    ("GET", "/webhook_event_types"),
    ("GET", "/webhook_events"),
    ("POST", "/webhook_events"),
    ("GET", "/webhook_events/evt_x"),
    ("GET", "/organization/projects"),
    ("POST", "/organization/projects"),
    ("GET", "/organization/projects/proj_x"),
    ("POST", "/organization/projects/proj_x"),
    ("POST", "/organization/projects/proj_x/archive"),
    ("GET", "/organization/projects/proj_x/api_keys"),
    ("POST", "/organization/projects/proj_x/api_keys"),
    ("GET", "/organization/api_keys/key_x"),
    ("DELETE", "/organization/projects/proj_x/api_keys/key_x"),
    ("POST", "/organization/projects/proj_x/api_keys/key_x/rotate_secret"),
    ("POST", "/organization/projects/proj_x/service_accounts"),
    ("DELETE", "/organization/projects/proj_x/model_permissions"),
    ("POST", "/organization/admin_api_keys"),
    ("DELETE", "/organization/admin_api_keys/key_x"),
    ("GET", "/organization/users"),
]
KEYS = {
    "none": ({"authorization": ""}, "missing_api_key"),
    "another scheme": ({"authorization": "Basic YTpi"}, "missing_api_key"),
    "no key after the scheme": ({"authorization": "Bearer "}, None),
    "an unknown one": ({"authorization": "Bearer sk-tun-unknown"}, "invalid_api_key"),
    "OpenAI's": ({"authorization": "Bearer sk-proj-abc"}, "invalid_api_key"),
}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_operation_does_anything_without_a_key(alice: Person, method: str, path: str) -> None:
    for headers, code in KEYS.values():
        answer = send(alice, method, path, b"{}" if method == "POST" else None, headers)
        assert answer.status == 401, f"{headers}: {answer.text}"
        assert code is None or answer.error["code"] == code
        assert "sk-" not in answer.error["message"].replace("sk-tun-…", "").replace("sk-admin-tun-…", "")


@pytest.mark.parametrize(
    ("column", "code"), [("revoked_at", "invalid_api_key"), ("expires_at", "api_key_expired")], ids=str
)
def test_a_key_that_was_revoked_or_has_expired_is_refused(alice: Person, column: str, code: str) -> None:
    with transaction() as session:
        key, secret = projects.create_api_key(
            session, alice.project_id, "old", expires_at=utc_now() + timedelta(days=1)
        )
    client = OpenAI(base_url=alice.base_url, api_key=secret, max_retries=0)
    with transaction() as session:
        setattr(session.get_one(ApiKey, key.id), column, utc_now())
    with pytest.raises(AuthenticationError) as refused:
        client.models.list()
    assert refused.value.code == code


def test_a_key_that_has_already_expired_cannot_be_created(alice: Person) -> None:
    with pytest.raises(Invalid), transaction() as session:
        projects.create_api_key(session, alice.project_id, "late", expires_at=utc_now())


def test_an_admin_key_owns_no_files(alice: Person) -> None:
    with transaction() as session:
        _, secret = projects.create_api_key(session, None, "admin")
    with pytest.raises(PermissionDeniedError) as refused:
        OpenAI(base_url=alice.base_url, api_key=secret, max_retries=0).files.list()
    assert refused.value.code == "insufficient_permissions"


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/files/a/b",
        "/fine_tuning",
        "/fine_tuning/jobs/x/y",
        "/",
        "",
        "/../v1/files",
        "/files/a/b/",
        "//nothing",
    ],
)
def test_an_unknown_url_is_answered_with_404(alice: Person, path: str) -> None:
    answer = send(alice, "GET", path)
    assert (answer.status, answer.error["code"]) == (404, "unknown_url")
    assert "GET" in answer.error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/files", {"GET", "HEAD", "POST"}),
        ("PATCH", "/files/file-x", {"GET", "HEAD", "DELETE"}),
        ("POST", "/models", {"GET", "HEAD"}),
        ("DELETE", "/fine_tuning/jobs", {"GET", "HEAD", "POST"}),
        ("GET", "/chat/completions", {"POST"}),
        ("GET", "/fine_tuning/jobs/ftjob-x/cancel", {"POST"}),
        ("OPTIONS", "/files", {"GET", "HEAD", "POST"}),
    ],
)
def test_a_wrong_method_is_answered_with_the_allowed_ones(
    alice: Person, method: str, path: str, allowed: set[str]
) -> None:
    answer = send(alice, method, path)
    assert (answer.status, answer.error["code"]) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", ["/fine_tuning/jobs", "/webhook_endpoints", "/models", "/nothing"])
def test_a_body_with_a_declared_length_over_the_limit_is_refused(frugal: Person, path: str) -> None:
    answer = send(frugal, "POST", path, b"[" * 10_001)
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")


@pytest.mark.parametrize("path", ["/fine_tuning/jobs", "/webhook_endpoints"])
def test_a_body_without_a_declared_length_is_counted(frugal: Person, path: str) -> None:
    answer = send(frugal, "POST", path, iter([b"[" * 1000] * 11))
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")


def test_a_body_of_exactly_the_limit_is_accepted(frugal: Person) -> None:
    assert send(frugal, "POST", "/fine_tuning/jobs", b"{" + b" " * 9999).error["code"] == "invalid_json"


def test_a_form_over_the_limit_is_refused(frugal: Person) -> None:
    answer = send(frugal, "POST", "/files", b"x" * ((1 << 20) + 200_000), {"content-type": MULTIPART})
    assert (answer.status, answer.error["code"]) == (413, "request_too_large")


def test_the_callers_request_id_is_used(alice: Person) -> None:
    answer = send(alice, "GET", "/models", headers={"x-request-id": "trace-1:a.b_c"})
    assert answer.headers["x-request-id"] == "trace-1:a.b_c"


@pytest.mark.parametrize("given", ["", "a" * 129, "a b", "<script>", "ü", "a\tb"])
def test_an_invalid_request_id_is_replaced(alice: Person, given: str) -> None:
    answer = send(alice, "GET", "/models", headers={"x-request-id": given.encode("latin-1").decode("latin-1")})
    assert re.fullmatch(r"req_[0-9a-z]{26}", answer.headers["x-request-id"])


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_has_a_new_request_id(alice: Person, method: str, path: str) -> None:
    ids = {send(alice, method, path).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2


def test_the_sdk_finds_the_request_id_on_answers_and_errors(alice: Person) -> None:
    page = alice.openai.files.list()
    assert page._request_id
    with pytest.raises(APIStatusError) as refused:
        alice.openai.files.retrieve("file-never")
    assert (refused.value.request_id or "").startswith("req_")


def test_an_invalid_query_parameter_is_answered_with_400_and_its_name(alice: Person) -> None:
    answer = send(alice, "GET", "/fine_tuning/jobs?limit=many")
    assert (answer.status, answer.error["param"], answer.error["code"]) == (400, "limit", "invalid_value")


def test_a_body_that_is_not_json_is_answered_with_400(alice: Person) -> None:
    answer = send(alice, "POST", "/fine_tuning/jobs", b"{")
    assert (answer.status, answer.error["param"], answer.error["code"]) == (400, None, "invalid_json")


def test_a_body_that_is_not_an_object_is_answered_with_400(alice: Person) -> None:
    answer = send(alice, "POST", "/fine_tuning/jobs", b"[1]")
    assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")

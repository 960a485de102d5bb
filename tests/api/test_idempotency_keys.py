"""Idempotency keys: their owner, format, lifetime and storage."""

import pytest

from shared.database import transaction
from shared.datasets.models import Dataset
from shared.db.times import utc_now
from shared.idempotency import StoredAnswer
from shared.jobs.models import Job
from shared.projects import service as projects
from shared.settings import get_settings
from shared.webhooks.models import WebhookEndpoint
from tests.api.keyed_requests import ENDPOINT, HOOKS, JOBS, KEY, code, form, is_replay, new_job, post, same, upload
from tests.api.wire import send
from tests.worker.support import change, forget_all, ids
from tests.world import Person, lines, row


def test_a_key_cannot_be_reused_for_another_request(alice: Person) -> None:
    file_id = alice.upload()
    job_id = post(alice, JOBS, new_job(file_id)).json["id"]
    for answer in (
        post(alice, JOBS, new_job(file_id, suffix="b")),
        post(alice, HOOKS, ENDPOINT),
        post(alice, f"{JOBS}/{job_id}/cancel"),
        upload(alice, "a", purpose="fine-tune"),
    ):
        assert code(answer) == (400, "idempotency_key_reused")
        assert answer.error["param"] == KEY
    assert (ids(Job), row(Job, job_id).status, ids(Dataset)) == ([job_id], "validating_files", [file_id])


def test_another_content_name_or_field_makes_another_file_upload(alice: Person) -> None:
    upload(alice, "a", purpose="fine-tune")
    assert code(upload(alice, "b", purpose="fine-tune", content=lines(13))) == (400, "idempotency_key_reused")
    assert code(upload(alice, "b", purpose="batch")) == (400, "idempotency_key_reused")
    renamed = form("b", purpose="fine-tune")["body"].replace(b"a.jsonl", b"b.jsonl")
    headers = {"content-type": "multipart/form-data; boundary=b", KEY: "k"}
    assert code(send(alice, "POST", "/files", renamed, headers)) == (400, "idempotency_key_reused")
    assert len(ids(Dataset)) == 1


def test_two_projects_can_use_the_same_key(alice: Person, bob: Person) -> None:
    hers, his = (post(person, HOOKS, ENDPOINT) for person in (alice, bob))
    assert (hers.status, his.status, is_replay(his)) == (200, 200, False)
    assert hers.json["id"] != his.json["id"]
    assert post(bob, HOOKS, ENDPOINT).body == his.body


def test_admin_keys_do_not_share_idempotency_keys(alice: Person, clean: str) -> None:
    with transaction() as session:
        secrets = [projects.create_api_key(session, None, name)[1] for name in "ab"]
    first, second = (Person(clean, secret, "") for secret in secrets)
    path, new = "/organization/projects", {"name": "new"}
    assert code(post(alice, path, new)) == (403, "insufficient_permissions")
    assert same(post(first, path, new), post(first, path, new))["name"] == "new"
    assert not is_replay(post(second, path, new))


def test_an_error_is_not_stored_so_a_corrected_request_can_use_the_key(alice: Person) -> None:
    file_id = alice.upload()
    answers = ids(StoredAnswer)
    assert code(post(alice, JOBS, new_job("file-never"))) == (404, "not_found")
    assert code(post(alice, JOBS, {"model": 7})) == (400, "invalid_value")
    assert ids(StoredAnswer) == answers
    assert not is_replay(post(alice, JOBS, new_job(file_id)))
    stranger = Person(alice.base_url, "sk-tun-unknown", alice.project_id)
    assert code(post(stranger, JOBS, new_job(file_id))) == (401, "invalid_api_key")


def test_a_key_can_be_used_again_after_a_day(alice: Person) -> None:
    first = post(alice, HOOKS, ENDPOINT)
    [answer_id] = ids(StoredAnswer)
    change(StoredAnswer, answer_id, created_at=utc_now() - get_settings().idempotency_lifetime)
    second = post(alice, HOOKS, {**ENDPOINT, "name": "other"})
    assert (second.status, is_replay(second)) == (200, False)
    assert second.json["id"] != first.json["id"]
    assert post(alice, HOOKS, {**ENDPOINT, "name": "other"}).body == second.body
    assert ids(StoredAnswer) == [answer_id]


def test_only_expired_answers_are_deleted(alice: Person) -> None:
    post(alice, HOOKS, ENDPOINT, key="old")
    [old] = ids(StoredAnswer)
    change(StoredAnswer, old, created_at=utc_now() - get_settings().idempotency_lifetime)
    young = post(alice, HOOKS, ENDPOINT, key="young")
    forget_all()
    assert len(ids(StoredAnswer)) == 1
    assert post(alice, HOOKS, ENDPOINT, key="young").body == young.body


def test_the_table_reveals_neither_keys_nor_secrets(alice: Person) -> None:
    secret = post(alice, HOOKS, ENDPOINT, key="order-4711").json["signing_secret"]
    kept = str(row(StoredAnswer, ids(StoredAnswer)[0]).model_dump())
    assert not [each for each in (secret, secret[10:20], "order-4711", "signing_secret") if each in kept]
    assert post(alice, HOOKS, ENDPOINT, key="order-4711").json["signing_secret"] == secret


@pytest.mark.parametrize("key", ["", "k" * 256, "schlüssel", "a\tb"])
def test_a_key_has_1_to_255_printable_ascii_characters(alice: Person, key: str) -> None:
    refused = post(alice, HOOKS, ENDPOINT, key=key.encode().decode("latin-1"))
    assert code(refused) == (400, "invalid_value")
    assert (refused.error["param"], ids(WebhookEndpoint)) == (KEY, [])


def test_the_longest_key_and_one_with_spaces_are_accepted(alice: Person) -> None:
    keys = ["k" * 255, "two words", "~!'\""]
    assert [post(alice, HOOKS, ENDPOINT, key=key).status for key in keys for _ in range(2)] == [200] * 6
    assert len(ids(WebhookEndpoint)) == len(keys)


def test_without_a_key_nothing_is_stored(alice: Person) -> None:
    assert [is_replay(post(alice, HOOKS, ENDPOINT, key=None)) for _ in range(2)] == [False, False]
    assert (len(ids(WebhookEndpoint)), ids(StoredAnswer)) == (2, [])

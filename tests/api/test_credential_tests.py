"""POST …/credentials/{credential_id}/test: a worker calls the provider, and the caller gets the result."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from shared.projects.models import Credential
from tests.api.accounts import CHAT, admin, give, path
from tests.servers import closed_port
from tests.worker.support import ids, settings
from tests.world import Person, Sandbox, step

__all__ = ["admin"]


def outcome(admin: httpx2.Client, person: Person, credential_id: str, **options: Any) -> Any:
    """Return the answer to a test, while a worker runs its steps."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(admin.post, path(person, credential_id, "test"), **options)
        while not asked.done():
            for each in ids(Credential):
                step(Credential, each)
        return asked.result().raise_for_status().json()


def test_a_valid_key_returns_the_models_that_can_be_tuned(
    admin: httpx2.Client, alice: Person, sandbox: Sandbox
) -> None:
    own = give(admin, alice, sandbox)
    answer = outcome(admin, alice, own, headers={"Idempotency-Key": "k"})
    models = answer.pop("base_models")
    assert answer == {
        "object": "organization.project.credential.test",
        "credential_id": own,
        "ok": True,
        "error": None,
    }
    assert "gpt-4o-mini" in models
    shown = admin.get(path(alice, own)).json()
    assert (shown["last_tested_at"] is not None, shown["last_error"]) == (True, None)
    again = admin.post(path(alice, own, "test"), headers={"Idempotency-Key": "k"})
    assert (again.json()["ok"], again.headers["Idempotent-Replayed"]) == (True, "true")


def test_an_invalid_key_returns_the_providers_error_and_a_new_key_is_tested_again(
    admin: httpx2.Client, alice: Person, sandbox: Sandbox
) -> None:
    own = give(admin, alice, sandbox, key="sk-sandbox-mistyped")
    answer = outcome(admin, alice, own)
    assert (answer["ok"], answer["error"]["code"]) == (False, "invalid_api_key")
    assert answer["error"]["message"].startswith("Incorrect API key provided")
    assert admin.get(path(alice, own)).json()["last_error"] == answer["error"]
    updated = admin.post(path(alice, own), json={"api_key": "sk-sandbox"}).json()
    assert (updated["last_tested_at"], updated["last_error"]) == (None, None)
    assert outcome(admin, alice, own)["ok"]


def test_an_address_that_refuses_connections_is_reported(admin: httpx2.Client, alice: Person, sandbox: Sandbox) -> None:
    nobody = give(admin, alice, sandbox, base_url=f"http://127.0.0.1:{closed_port()}/v1")
    assert "could not be reached" in outcome(admin, alice, nobody)["error"]["message"]


def test_an_address_is_checked_when_connecting_and_not_only_when_stored(
    admin: httpx2.Client, alice: Person, sandbox: Sandbox
) -> None:
    named = sandbox.address.replace("127.0.0.1", "localhost")
    own = give(admin, alice, sandbox, base_url=f"{named}/v1", meet=False)
    with settings(TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS='["10.0.0.0/8"]'):
        assert "leads to a private or reserved network" in outcome(admin, alice, own)["error"]["message"]
        assert alice.http.post("/chat/completions", json=CHAT).status_code == 502
    assert outcome(admin, alice, own)["ok"]
    assert alice.http.post("/chat/completions", json=CHAT).status_code == 200


def test_a_key_is_masked_in_the_providers_error(admin: httpx2.Client, alice: Person, sandbox: Sandbox) -> None:
    own = give(admin, alice, sandbox, key="sk-sandbox")
    said = {"error": {"message": "what is sk-sandbox?", "code": "no_sk-sandbox", "type": "x", "param": None}}
    sandbox.arm("GET", "/v1/models", times=20, status=401, body=said)
    assert outcome(admin, alice, own)["error"] == {"code": "no_…", "message": "what is …?"}


def test_a_test_without_a_worker_is_answered_with_503(admin: httpx2.Client, alice: Person, sandbox: Sandbox) -> None:
    own = give(admin, alice, sandbox)
    with settings(TUNERY_ENQUEUE_AGAIN_AFTER="0.1", TUNERY_PROVIDER__TIMEOUT="0.1"):
        answer = admin.post(path(alice, own, "test"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "worker_unavailable")

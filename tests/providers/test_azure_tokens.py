"""Azure's accounts with an application of Entra ID: every call is signed with a token."""

import json
from typing import Any

import pytest

from shared.projects.credentials import Account
from shared.providers.dialects import Dialect
from shared.providers.entra import MAX_KEPT, TOKENS, Token, Tokens, scope_of_models
from tests.providers.azure_application import STAND_IN, client_of, switch
from tests.providers.azure_application import azure as azure
from tests.providers.azure_application import new as new
from tests.providers.deploying import Deploying
from tests.providers.openai_wires import AZURE_APPLICATION
from tests.providers.stand_ins import logins_at
from tests.worker.support import settings
from worker.providers.azure.client import AzureProvider
from worker.providers.errors import ProviderError

LOGIN, TOKEN = "POST /{tenant}/oauth2/v2.0/token", "/tenant/oauth2/v2.0/token"
DEPLOYMENTS = AZURE_APPLICATION["calls"]["list_deployments"][1]
OK: dict[str, Any] = {"status": 200, "headers": {"content-type": "application/json"}}


def logins(azure: Deploying) -> int:
    counts: dict[str, int] = azure.sandbox.http.get("/sandbox/requests").raise_for_status().json()["requests"]
    return counts.get(LOGIN, 0)


def test_a_token_serves_all_calls_to_one_address(azure: Deploying, new: AzureProvider) -> None:
    before = logins(azure)
    for _ in range(3):
        new.list_base_models()
        new.list_deployments()
    assert logins(azure) == before + 2


def test_a_token_that_is_over_is_renewed_before_a_call(azure: Deploying, new: AzureProvider) -> None:
    before = logins(azure)
    answer = {"access_token": "over", "expires_in": 0}
    azure.sandbox.arm("POST", TOKEN, **OK, body=json.dumps(answer))
    with pytest.raises(ProviderError):
        new.list_base_models()  # with a token that nobody knows
    azure.sandbox.arm("POST", TOKEN, **OK, body=json.dumps(answer))
    with pytest.raises(ProviderError):
        new.list_base_models()
    assert new.list_base_models()
    assert logins(azure) == before + 3


def test_an_expired_token_is_refused_by_the_stand_in(azure: Deploying, new: AzureProvider) -> None:
    switch(azure, token_seconds=0)
    for call in (new.list_base_models, new.list_deployments):
        with pytest.raises(ProviderError) as refusal:
            call()
        assert refusal.value.status == 401


def test_a_token_that_is_refused_is_forgotten_and_the_next_call_has_another(
    azure: Deploying, new: AzureProvider
) -> None:
    new.list_base_models()
    before = logins(azure)
    azure.sandbox.arm("GET", "/openai/v1/models", status=401)
    with pytest.raises(ProviderError) as refusal:
        new.list_base_models()
    assert (refusal.value.status, refusal.value.retryable, refusal.value.effect_unknown) == (401, True, False)
    assert new.list_base_models()
    assert logins(azure) == before + 1


def test_a_token_of_one_address_opens_no_other(azure: Deploying) -> None:
    token = azure.sandbox.http.post(
        TOKEN,
        data={
            "grant_type": "client_credentials",
            "client_id": "c",
            "client_secret": "sk-sandbox",
            "scope": "https://management.azure.com/.default",
        },
    ).json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    assert azure.sandbox.http.get("/openai/v1/models", headers=headers).status_code == 401
    listed = f"{DEPLOYMENTS}?api-version=2024-10-01"
    assert azure.sandbox.http.get(listed, headers=headers).status_code == 200
    assert azure.sandbox.http.get(listed).status_code == 401  # the key of the resource


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, {"error": "invalid_client", "error_description": "AADSTS7000215: sk-sandbox is wrong"}, "invalid_client"),
        (400, {"error": "unauthorized_client", "error_description": "AADSTS700016"}, "unauthorized_client"),
        (400, ["what"], "invalid_client"),
        (429, {}, "provider_unavailable"),
        (503, "<html>", "provider_unavailable"),
        (302, {}, "provider_unavailable"),
        (200, None, "provider_unavailable"),
        (200, {"access_token": "a\nb", "expires_in": 3599}, "provider_unavailable"),
        (200, {"access_token": "a", "expires_in": "soon"}, "provider_unavailable"),
        (200, {"access_token": "a", "expires_in": -5}, "provider_unavailable"),
        (200, {"access_token": "a" * 20_000, "expires_in": 3599}, "provider_unavailable"),
        (200, {"access_token": ["a"], "expires_in": 3599}, "provider_unavailable"),
    ],
)
def test_a_login_without_a_usable_token_is_an_error_after_which_nothing_was_sent(
    azure: Deploying, new: AzureProvider, status: int, body: Any, code: str
) -> None:
    for call in (new.list_base_models, new.list_deployments):
        azure.sandbox.arm("POST", TOKEN, **{**OK, "status": status}, body=json.dumps(body))
        with pytest.raises(ProviderError) as failure:
            call()
        error = failure.value
        assert (error.code, error.retryable, error.effect_unknown) == (code, True, False)
        assert "sk-sandbox" not in error.message
        assert call()[:0] == []


def test_a_login_that_is_not_there_is_an_error_after_which_nothing_was_sent(
    azure: Deploying, new: AzureProvider
) -> None:
    job = azure.new_job("ftjob-unsent")
    azure.sandbox.arm("POST", TOKEN, drop="before")
    with pytest.raises(ProviderError) as failure:
        new.create_job(job)
    assert (failure.value.retryable, failure.value.effect_unknown) == (True, False)
    assert new.create_job(job).id


def test_a_token_that_the_provider_repeats_is_in_no_error(azure: Deploying, new: AzureProvider) -> None:
    new.list_base_models()
    told = [kept.text for (_, scope), kept in TOKENS._kept.items() if "cognitive" in scope]
    azure.sandbox.arm("GET", "/openai/v1/models", status=403, body=json.dumps({"error": {"message": told[-1]}}))
    with pytest.raises(ProviderError) as failure:
        new.list_base_models()
    assert told[-1] not in f"{failure.value.message}{failure.value.code}"


def test_no_more_tokens_are_kept_than_the_bound() -> None:
    kept = Tokens()
    for number in range(MAX_KEPT + 5):
        kept.keep(number, "models", Token(f"t{number}", 3599))
    assert kept.get(4, "models") is None
    assert kept.get(5, "models") == "t5"
    kept.forget(5, "models", "another")
    assert kept.all_of(5) == ["t5"]


@pytest.mark.parametrize(
    ("base_url", "scope"),
    [
        ("https://a.openai.azure.com/openai/v1", "https://cognitiveservices.azure.com/.default"),
        ("https://a.openai.azure.us/openai/v1", "https://cognitiveservices.azure.us/.default"),
        ("https://a.services.ai.azure.com/api/projects/p/openai/v1", "https://ai.azure.com/.default"),
        ("http://127.0.0.1:5/openai/v1", "https://cognitiveservices.azure.com/.default"),
    ],
)
def test_a_resource_and_a_project_have_tokens_of_their_own(base_url: str, scope: str) -> None:
    assert scope_of_models(base_url) == scope


class Keyed(Account):
    def api_key(self) -> str:
        return "sk-sandbox"


def test_where_an_own_account_logs_in_and_deploys_is_guarded(azure: Deploying) -> None:
    with settings(**logins_at(azure.sandbox), TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS="[]"):
        own = client_of(Keyed("cred_1", "proj_1", "https://1.1.1.1/v1", Dialect.AZURE, 1, None, STAND_IN.options))
        for call in (own.list_base_models, own.list_deployments):
            with pytest.raises(ProviderError) as failure:
                call()
            assert "private or reserved network" in failure.value.message

"""Chats at an account of Azure with an application: the api signs them with a token that it fetches."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from shared.providers.entra import TOKENS
from tests.api.accounts import CHAT, admin, give
from tests.providers.openai_wires import AZURE_APPLICATION
from tests.providers.stand_ins import logins_at
from tests.servers import until
from tests.worker.support import settings
from tests.world import Person, Sandbox, sandbox_of

__all__ = ["admin"]

LOGIN, TOKEN = "POST /{tenant}/oauth2/v2.0/token", "/tenant/oauth2/v2.0/token"
MODEL = "gpt-4o-mini-2024-07-18"


@pytest.fixture(scope="module")
def stand_in() -> Iterator[Sandbox]:
    with sandbox_of("azure") as sandbox:
        yield sandbox


@pytest.fixture
def azure(alice: Person, admin: httpx2.Client, stand_in: Sandbox) -> Iterator[Sandbox]:
    options = dict(AZURE_APPLICATION["options"])
    with settings(**logins_at(stand_in)):
        give(admin, alice, stand_in, dialect="azure", base_url=f"{stand_in.address}/openai/v1", options=options)
        yield stand_in


def ask(alice: Person) -> httpx2.Response:
    return alice.http.post("/chat/completions", json={**CHAT, "model": MODEL})


def logins(azure: Sandbox) -> int:
    counts: dict[str, int] = azure.http.get("/sandbox/requests").raise_for_status().json()["requests"]
    return counts.get(LOGIN, 0)


def forget(azure: Sandbox, alice: Person) -> None:
    """The provider refuses the token that is kept."""
    azure.arm("POST", "/openai/v1/chat/completions", status=401)
    assert ask(alice).status_code == 502


def test_questions_share_a_token_and_one_that_is_refused_is_replaced(azure: Sandbox, alice: Person) -> None:
    assert ask(alice).status_code == 200
    before = logins(azure)
    assert ask(alice).status_code == 200
    assert logins(azure) == before
    forget(azure, alice)
    assert ask(alice).status_code == 200
    assert logins(azure) == before + 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"error": "invalid_client", "error_description": "sk-sandbox is wrong"}),
        (200, {"access_token": 5}),
        (200, {"access_token": "a b", "expires_in": 3599}),
        (200, "x" * 100_000),
        (503, []),
    ],
    ids=["refused", "no token", "a token with a space", "too much", "not now"],
)
def test_without_a_token_a_question_is_answered_with_502(
    azure: Sandbox, alice: Person, capfd: pytest.CaptureFixture[str], status: int, body: Any
) -> None:
    assert ask(alice).status_code == 200
    forget(azure, alice)
    azure.arm("POST", TOKEN, status=status, body=json.dumps(body), headers={"content-type": "application/json"})
    refused = ask(alice)
    assert (refused.status_code, refused.json()["error"]["code"]) == (502, "provider_unavailable")
    assert "sk-sandbox" not in refused.text + "".join(capfd.readouterr())
    assert ask(alice).status_code == 200


def test_a_login_that_breaks_off_is_answered_with_502(azure: Sandbox, alice: Person) -> None:
    assert ask(alice).status_code == 200
    forget(azure, alice)
    azure.arm("POST", TOKEN, drop="before")
    assert ask(alice).status_code == 502
    assert ask(alice).status_code == 200


def test_questions_that_wait_for_a_token_fetch_it_once(azure: Sandbox, alice: Person) -> None:
    assert ask(alice).status_code == 200
    forget(azure, alice)
    before = logins(azure)
    azure.arm("POST", TOKEN, delay=1)
    with ThreadPoolExecutor(5) as together:
        answers = list(together.map(lambda _: ask(alice), range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert logins(azure) == before + 1


def test_a_login_that_fails_is_told_to_all_that_wait_and_not_kept(azure: Sandbox, alice: Person) -> None:
    assert ask(alice).status_code == 200
    forget(azure, alice)
    azure.arm("POST", TOKEN, times=5, status=503, delay=1)
    with ThreadPoolExecutor(5) as together:
        answers = list(together.map(lambda _: ask(alice), range(5)))
    assert {answer.status_code for answer in answers} == {502}
    assert "tell your operator" in answers[0].json()["error"]["message"]
    azure.disarm()
    assert ask(alice).status_code == 200


def make_due() -> str:
    """The token is to be renewed from now on. Returns it."""
    [(key, kept)] = list(TOKENS._kept.items())[-1:]
    TOKENS._kept[key] = kept._replace(renew_at=0.0)
    return kept.text


def test_a_token_serves_while_it_is_renewed_and_until_its_end_if_it_cannot_be(azure: Sandbox, alice: Person) -> None:
    assert ask(alice).status_code == 200
    before, old = logins(azure), make_due()
    azure.arm("POST", TOKEN, status=503)
    assert ask(alice).status_code == 200
    until(lambda: logins(azure) > before)
    until(lambda: list(TOKENS._kept.values())[-1].renew_at > 0)  # it is tried again later
    assert make_due() == old
    assert ask(alice).status_code == 200
    until(lambda: list(TOKENS._kept.values())[-1].text != old)
    assert ask(alice).status_code == 200
    assert logins(azure) == before + 2

"""A page shows no part that the key may not read by the API."""

from contextlib import closing
from typing import Any

import httpx2
import pytest

from shared.database import transaction
from shared.jobs import model_list
from shared.projects import service as projects
from tests.dashboard.furnished import finish
from tests.dashboard.signed_in import a_browser, key_of, sign_in
from tests.world import Person


def test_models_that_end_need_the_scope_of_models(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = model_list.list_ending

    def list_ending(session: Any, project_id: str, limit: int) -> Any:
        asked.append(project_id)
        return real(session, project_id, limit)

    monkeypatch.setattr(model_list, "list_ending", list_ending)
    for scopes in (["jobs:read"], ["jobs:read", "models:read"]):
        with a_browser(alice.base_url) as browser:
            sign_in(browser, key_of(alice, scopes=scopes)[1])
            assert browser.get("").status_code == 200
    assert asked == [alice.project_id]


def test_open_jobs_are_shown_only_with_the_scope_of_activity(alice: Person) -> None:
    for scopes in (["admin:projects:read"], ["admin:projects:read", "admin:activity:read"]):
        with transaction() as session:
            secret = projects.create_api_key(session, None, "limited", scopes=scopes)[1]
        with a_browser(alice.base_url) as browser:
            sign_in(browser, secret)
            text = browser.get("/operator/projects").text
            assert ("lacks the scope <code>admin:activity:read" in text) is (len(scopes) == 1)
            assert ('<td class="number">0</td>' in text) is (len(scopes) == 2)


def first_part(browser: httpx2.Client, address: str) -> str:
    """What a stream sends first: the part that moves, as it is now."""
    with browser.stream("GET", address) as stream:
        found = ""
        for text in stream.iter_text():
            found += text
            if "\n\n" in found:
                break
    return found


def test_names_of_files_and_keys_need_their_scopes(alice: Person) -> None:
    file = alice.upload(name="secret-name.jsonl")
    key, secret = key_of(alice, scopes=["jobs:read", "jobs:write"])
    with closing(Person(alice.base_url, secret, alice.project_id)) as other:
        other.create_job(training_file=file)
    with a_browser(alice.base_url) as limited, a_browser(alice.base_url) as whole:
        sign_in(limited, key_of(alice, scopes=["jobs:read"])[1])
        sign_in(whole, alice.api_key)
        for text in (whole.get("/jobs").text, first_part(whole, "/jobs/live")):
            assert ("secret-name" in text, f"<bdi>{key.name}</bdi>" in text) == (True, True)
        for text in (limited.get("/jobs").text, first_part(limited, "/jobs/live")):
            assert ("secret-name" in text, f"<bdi>{key.name}</bdi>" in text) == (False, False)
            assert (file in text, key.id in text, f'/datasets/{file}"' in text) == (True, True, False)


def test_jobs_of_models_are_linked_only_with_the_scope_of_jobs(alice: Person) -> None:
    job = alice.create_job()
    finish(job)
    for scopes in (["models:read"], ["models:read", "jobs:read"]):
        with a_browser(alice.base_url) as browser:
            sign_in(browser, key_of(alice, scopes=scopes)[1])
            text = browser.get("/models").text
            assert (job[:17] in text, f"/jobs/{job}" in text) == (True, len(scopes) == 2)


def test_what_changes_jobs_is_offered_only_to_a_key_that_may(alice: Person) -> None:
    job = alice.create_job()
    offered = ("New job", "Cancel selected", "Cancel …", "Cancel the job", "The same again", "Start it")
    for scopes in (["jobs:read"], ["jobs:read", "jobs:write"]):
        with a_browser(alice.base_url) as browser:
            sign_in(browser, key_of(alice, scopes=scopes)[1])
            text = browser.get("/jobs").text + browser.get(f"/jobs/{job}").text
            assert [each for each in offered if each in text] == list(offered if len(scopes) == 2 else ())
            part = first_part(browser, f"/jobs/{job}/live")
            assert ("Cancel …" in part, "The same again" in part) == (len(scopes) == 2,) * 2

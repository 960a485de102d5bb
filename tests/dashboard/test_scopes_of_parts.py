"""A page shows no part that the key may not read by the API."""

from typing import Any

import pytest

from shared.database import transaction
from shared.jobs import model_list
from shared.projects import service as projects
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

"""Which values of a change an audit entry records: numbers, enums and scopes, never a caller's text."""

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.api.audited import entries, post
from tests.world import Person


@pytest.fixture
def operator(admin: OpenAI, alice: Person) -> Iterator[Person]:
    """The operator, with plain HTTP."""
    operator = Person(str(admin.base_url).rstrip("/"), str(admin.admin_api_key), alice.project_id)
    yield operator
    operator.close()


def test_old_and_new_scopes_of_a_key_are_recorded(operator: Person, alice: Person) -> None:
    [key] = operator.http.get(f"/organization/projects/{alice.project_id}/api_keys").json()["data"]
    post(operator, f"/organization/projects/{alice.project_id}/api_keys/{key['id']}", {"scopes": ["jobs:read"]})
    [entry] = entries(type="api_key.updated")
    assert entry.details["changed"] == {"scopes": {"before": [], "after": ["jobs:read"]}}


def test_of_any_other_list_only_the_field_name_is_recorded(operator: Person, alice: Person) -> None:
    limit = {"currency": "USD", "interval": "month", "threshold_amount": 1000, "alert_percentages": [70]}
    path = f"/organization/projects/{alice.project_id}/spend_limit"
    for percentages in ([70], [60, 90]):
        post(operator, path, {**limit, "alert_percentages": percentages})
    changed = entries(type="spend_limit.updated")[-1].details["changed"]
    assert changed["alert_percentages"] == {"before": None, "after": None}

"""The operator, and helpers for tests of the administration API."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx2
from openai import OpenAI

from shared.database import transaction
from shared.datasets.models import Dataset
from shared.projects import service as projects
from tests.world import Person, lines, step


class Operator:
    """A person with an admin key: the SDK's administration client, strict, and plain HTTP for what it lacks."""

    def __init__(self, base_url: str, secret: str) -> None:
        self.openai = OpenAI(
            base_url=base_url, api_key="", admin_api_key=secret, max_retries=0, _strict_response_validation=True
        )
        self.http = httpx2.Client(
            base_url=f"{base_url}/organization", headers={"authorization": f"Bearer {secret}"}, timeout=60
        )

    def limit(self, person: Person, cents: int, **more: Any) -> Any:
        """Set a project's monthly limit."""
        limits = self.openai.admin.organization.projects.spend_limit
        return limits.update(
            person.project_id, currency="USD", interval="month", threshold_amount=cents, extra_body=more or None
        )

    def post(self, person: Person, path: str, **body: Any) -> Any:
        answer = self.http.post(f"/projects/{person.project_id}/{path}", json=body)
        return answer.raise_for_status().json()

    def entries(self, person: Person, **only: str) -> list[dict[str, Any]]:
        """Return all ledger entries of a project, oldest first."""
        answer = self.http.get(f"/projects/{person.project_id}/ledger", params={"limit": "100", **only})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
        return found[::-1]


@contextmanager
def operating(server: str) -> Iterator[Operator]:
    with transaction() as session:
        _, secret = projects.create_api_key(session, None, "operator")
    operator = Operator(server, secret)
    yield operator
    operator.openai.close()
    operator.http.close()


def counted_file(person: Person, content: bytes | None = None) -> str:
    """Upload a file and count its tokens, so that a job's estimate is known at once."""
    file_id = person.upload(content)
    step(Dataset, file_id)
    step(Dataset, file_id)
    return file_id


def estimate_of(person: Person, file_id: str) -> Decimal:
    answer = person.http.get(f"/datasets/{file_id}/estimate", params={"model": "gpt-4o-mini"})
    return Decimal(answer.raise_for_status().json()["amount"])


def big_file(person: Person) -> str:
    """Upload a file whose training costs at least a cent, since limits are in whole cents."""
    return counted_file(person, lines(300))

"""GET /metrics: what the api has counted, for an admin key that may read the activity."""

import time
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.database import get_engine
from tests.api.administration import Operator
from tests.api.test_health import ask
from tests.servers import PATIENCE
from tests.world import Person

JOB = "/v1/fine_tuning/jobs/{fine_tuning_job_id}"


@pytest.fixture
def key(operator: Operator) -> str:
    """Opens nothing but what a monitor needs."""
    made = operator.openai.admin.organization.admin_api_keys.create(
        name="prometheus", extra_body={"scopes": ["admin:activity:read"]}
    )
    return str(made.value)


def counted(server: str, key: str, name: str, **labels: str) -> float:
    """The sample with this name and these labels, 0 if there is none."""
    answer = ask(server, "/metrics", authorization=f"Bearer {key}")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples = [each for family in text_string_to_metric_families(answer.body.decode()) for each in family.samples]
    return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())


def test_requests_are_counted_by_the_pattern_of_their_path(clean: str, key: str, alice: Person) -> None:
    def read() -> tuple[float, float, float]:
        return (
            counted(clean, key, "tunery_requests_total", method="GET", route=JOB, status="404"),
            counted(clean, key, "tunery_request_seconds_count", route=JOB),
            counted(clean, key, "tunery_refusals_total", code="not_found"),
        )

    before = read()
    for name in ("ftjob-1", "ftjob-2"):
        ask(clean, f"/v1/fine_tuning/jobs/{name}", authorization=f"Bearer {alice.api_key}")
    assert [after - earlier for after, earlier in zip(read(), before, strict=True)] == [2, 2, 2]


def test_paths_and_methods_of_strangers_make_no_labels(clean: str, key: str) -> None:
    before = counted(clean, key, "tunery_requests_total", route="", status="404")
    for number in range(3):
        ask(clean, f"/strange/{number}")
    assert counted(clean, key, "tunery_requests_total", route="", status="404") == before + 3
    assert "strange" not in ask(clean, "/metrics", authorization=f"Bearer {key}").body.decode()


def test_connections_in_use_return_to_none(clean: str, key: str, alice: Person) -> None:
    alice.openai.fine_tuning.jobs.list()
    deadline = time.monotonic() + PATIENCE  # what notes the last use of a key has one for a moment
    pool: Any = get_engine().pool
    while counted(clean, key, "tunery_pool_connections", state="in_use") != pool.checkedout():
        assert time.monotonic() < deadline


def test_only_an_admin_key_with_the_scope_reads_them(clean: str, operator: Operator, alice: Person) -> None:
    other = operator.openai.admin.organization.admin_api_keys.create(
        name="other", extra_body={"scopes": ["admin:costs:read"]}
    )
    assert ask(clean, "/metrics").status == 401
    assert ask(clean, "/metrics", authorization="Bearer sk-admin-tun-guessed").status == 401
    assert ask(clean, "/metrics", authorization=f"Bearer {alice.api_key}").status == 403
    assert ask(clean, "/metrics", authorization=f"Bearer {other.value}").status == 403

"""Each kind of server opens at most as many connections to Postgres as its settings say, and Postgres takes them."""

import json
import math
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection

import psutil
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from benchmarks.sizing.__main__ import MEASURED
from benchmarks.sizing.teams import Need
from cli.local import commands
from shared.db import connections
from shared.settings import Settings
from tests.deployment.kubernetes import PAGE, built, find
from tests.deployment.readers import interpolated, services
from tests.deployment.test_json_logs import Server, start
from tests.servers import until, wait_for_port
from tests.shared.process import python
from tests.world import Person, as_owner, variables_of_this_test

__all__ = ["start"]  # a fixture
OF_API = Settings.model_fields["api_connections"].default
OF_SERVERS = {
    "api": connections.of_api(1, OF_API),
    "worker": connections.of_worker(4),
    "sender": connections.of_sender(64),
    "beat": connections.BEAT,
}
SURGE = {"api": 1.0}  # as in its manifest; of the others a quarter, Kubernetes' own


def test_an_api_with_four_connections_answers_all_who_wait_for_the_same_lock(
    start: Callable[..., Server], alice: Person, held_port: int
) -> None:
    most = 4
    server = start(commands.api("127.0.0.1", held_port), TUNERY_API_CONNECTIONS=str(most))
    wait_for_port(held_port)
    of_postgres = make_url(variables_of_this_test()["DATABASE_URL"]).port

    def ask(_: int) -> int:
        body = '{"name": "x", "url": "https://hooks.example", "event_types": ["fine_tuning.job.succeeded"]}'
        headers = {"authorization": f"Bearer {alice.api_key}", "content-type": "application/json"}
        with closing(HTTPConnection("127.0.0.1", held_port, timeout=100)) as connection:
            connection.request("POST", "/v1/webhook_endpoints", body=body, headers=headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status

    def is_open() -> int:
        sockets = psutil.Process(server.process.pid).net_connections("tcp")
        return sum(1 for each in sockets if each.raddr and each.raddr.port == of_postgres)

    with ThreadPoolExecutor(12) as pool:
        with as_owner() as session:
            session.connection().execute(text("lock table webhook_endpoints in access exclusive mode"))
            answers = [pool.submit(ask, number) for number in range(12)]
            until(lambda: is_open() >= most - 1)
            assert max(is_open() for _ in range(50)) <= most
        assert {answer.result() for answer in answers} == {200}


@pytest.mark.parametrize(
    ("pool", "concurrency", "most"),
    [("prefork", 4, connections.OF_STEP), ("threads", 64, 40), ("threads", 2, 9)],
)
def test_the_pool_of_a_worker_and_a_sender_follows_its_concurrency(pool: str, concurrency: int, most: int) -> None:
    code = (
        "from types import SimpleNamespace; from celery.concurrency import get_implementation;"
        "from worker import process;"
        f"server = SimpleNamespace(pool_cls=get_implementation({pool!r}), concurrency={concurrency});"
        "process._limit_connections(server); pool = process.get_engine().pool; print(pool.size() + pool._max_overflow)"
    )
    done = python(code, TUNERY_API_CONNECTIONS="7")
    assert done.stdout == f"{most}\n", done.stderr


def test_the_pool_of_an_api_is_a_setting_less_what_reads_have() -> None:
    code = "from shared.database import get_engine; pool = get_engine().pool; print(pool.size(), pool._max_overflow)"
    assert python(code).stdout == f"10 {connections.of_api_pool(OF_API) - 10}\n"
    assert python(code, TUNERY_API_CONNECTIONS="7").stdout == "6 0\n"


def test_composes_postgres_takes_those_of_one_server_of_each_kind_twice() -> None:
    """Twice, because new containers may start before the old ones have ended."""
    command = interpolated(" ".join(services()["postgres"]["command"]), {})
    (most,) = re.findall(r"max_connections=(\d+)", command)
    assert int(most) >= 2 * sum(OF_SERVERS.values())
    assert services()["postgres"]["pids_limit"] > int(most) + 100


def test_the_page_says_how_many_all_pods_hold_at_most() -> None:
    pods = {name: _most_pods(name) for name in OF_SERVERS}
    held = sum(count * OF_SERVERS[name] for name, count in pods.items()) + connections.OF_STEP  # and `migrate`
    more = sum(math.ceil(count * SURGE.get(name, 0.25)) * OF_SERVERS[name] for name, count in pods.items())
    assert find(built("base"), "Deployment", "api")["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == "100%"
    assert f"hold {held} connections to Postgres at most, and {more} more while an upgrade" in " ".join(PAGE.split())


def test_the_scalers_may_start_what_a_thousand_teams_need() -> None:
    needed = Need(1_000, json.loads(MEASURED.read_text())).servers
    assert {name: count for name, count in needed.items() if count > _most_pods(name)} == {}


def _most_pods(name: str) -> int:
    if name == "beat":
        return int(find(built("base"), "Deployment", name)["spec"]["replicas"])
    most = int(find(built("base"), "HorizontalPodAutoscaler", name)["spec"]["maxReplicas"])
    if name != "api":
        assert find(built("keda"), "ScaledObject", name)["spec"]["maxReplicaCount"] == most
    return most

"""The alerts with real servers, a real fault and a real Prometheus: silent before, firing after."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg
import pytest
from openai import InternalServerError, NotFoundError, OpenAI

from cli.embedded import postgres_home
from cli.local.environment import StackOptions
from cli.local.stack import OWNER_URL, Stack, running
from cli.processes.ports import PortReservations
from tests.monitoring.board import EXPRESSIONS
from tests.monitoring.prometheus import NEEDS_PROMETHEUS, RULES
from tests.servers import Receiver, free_port, wait_for_port
from tests.world import lines

PATIENCE = 120.0
SETTINGS = {"TUNERY_POLL_EVERY": "0.5", "SANDBOX_SPEED": "0"}  # jobs at the provider stay there, and a fourth waits
CREATED = 'sum(tunery_provider_call_seconds_count{verb="create_job",status="ok"})'
MODEL = "gpt-4o-mini-2024-07-18"
RETIRE_A_MODEL = f"""update credentials set base_models = jsonb_build_array(jsonb_build_object(
    'id', '{MODEL}', 'created', 0, 'owned_by', 'x', 'shutdown_date', current_date + 10))"""
GROW_A_TABLE = """insert into job_events select (jsonb_populate_record(null::job_events, to_jsonb(one)
    || jsonb_build_object('id', id || number, 'provider_event_id', id || number))).*
    from (select * from job_events limit 1) as one, generate_series(1, 20000) as number"""
pytestmark = [NEEDS_PROMETHEUS, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Watched:
    """A whole installation, and the Prometheus that scrapes all its servers each second."""

    stack: Stack
    port: int

    def firing(self) -> set[str]:
        return self._names('ALERTS{alertstate="firing"}')

    @contextmanager
    def fires(self, *alerts: str) -> Iterator[None]:
        """What happens in this block lets these fire, all of which are silent before."""
        self.until(lambda: self.firing().isdisjoint(alerts))
        began = time.monotonic()

        def have_fired() -> bool:
            seconds = int(time.monotonic() - began) + 1
            return self._names(f'max_over_time(ALERTS{{alertstate="firing"}}[{seconds}s])').issuperset(alerts)

        yield
        self.until(have_fired)

    def _names(self, expression: str) -> set[str]:
        return {each["metric"]["alertname"] for each in self.asks(expression)}

    def asks(self, expression: str) -> list[Any]:
        found: list[Any] = self._ask(f"/api/v1/query?{urlencode({'query': expression})}")["result"]
        return found

    def shows_nothing(self, began: float) -> set[str]:
        """The panels of the board that had nothing to show since this time."""
        times = {"start": began, "end": time.time(), "step": "1s"}
        return {
            panel
            for panel, expression in EXPRESSIONS.items()
            if not self._ask(f"/api/v1/query_range?{urlencode({'query': expression, **times})}")["result"]
        }

    def until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < deadline, self.firing()
            time.sleep(0.2)

    def execute(self, sql: str) -> None:
        url = self.stack.environ[OWNER_URL].replace("postgresql+psycopg://", "postgresql://")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.encode())

    def kill(self, name: str) -> None:
        _, child = self.stack.supervisor.members.pop(name)
        child.kill()

    def is_ready(self) -> bool:
        return self._answer("/-/ready")[0] == 200

    def _ask(self, path: str) -> Any:
        return json.loads(self._answer(path)[1])["data"]

    def _answer(self, path: str) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body


def quick(rules: str) -> str:
    """The same expressions with less patience: Prometheus looks each second instead of each quarter of a minute."""
    return re.sub(r"\[\d+[md]\]", "[20s]", re.sub(r"for: \w+", "for: 1s", rules))


def configuration(folder: Path, stack: Stack) -> Path:
    (folder / "rules.yml").write_text(quick(RULES.read_text()))
    ports = [f"127.0.0.1:{stack.ports_held.numbers[f'health of {name}']}" for name in ("worker", "sender", "beat")]
    api = {"job_name": "api", "authorization": {"credentials": stack.first["admin_key"]}}
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {"job_name": "tunery", "static_configs": [{"targets": ports}]},
            api | {"static_configs": [{"targets": [urlsplit(stack.address).netloc]}]},
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    return folder / "prometheus.yml"


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    state, port = tmp_path / "stack", free_port()
    state.mkdir()
    with (
        PortReservations(state / "ports.json") as held,
        running(StackOptions(state, isolated=True, durable=False, settings=SETTINGS), held) as stack,
    ):
        file = configuration(tmp_path, stack)
        options = [f"--storage.tsdb.path={tmp_path / 'series'}", f"--web.listen-address=127.0.0.1:{port}"]
        with (tmp_path / "log").open("wb") as log:
            server = subprocess.Popen(["prometheus", f"--config.file={file}", *options], stdout=log, stderr=log)
        try:
            wait_for_port(port)
            watched = Watched(stack, port)
            watched.until(watched.is_ready)
            watched.until(lambda: bool(watched.asks("count(tunery_info) == 4")))
            yield watched
        finally:
            server.kill()
            server.wait()
    postgres_home.remove(state)


@pytest.fixture
def client(watched: Watched) -> OpenAI:
    first = watched.stack.first
    return OpenAI(
        base_url=watched.stack.base_url, api_key=first["api_key"], admin_api_key=first["admin_key"], max_retries=0
    )


def create_job(client: OpenAI, examples: int = 12) -> str:
    file = client.files.create(file=("train.jsonl", lines(examples)), purpose="fine-tune")
    return client.fine_tuning.jobs.create(training_file=file.id, model=MODEL).id


def let_each_panel_show_something(watched: Watched, client: OpenAI) -> None:
    """A job waits for a slot, and a request is refused; all else the board shows of servers at work."""
    create_job(client)
    watched.until(lambda: bool(watched.asks("sum(tunery_waiting_jobs) == 1")))
    with pytest.raises(NotFoundError):
        client.files.retrieve("file-unknown")


def limit(watched: Watched, client: OpenAI, cents: int) -> None:
    limits = client.admin.organization.projects.spend_limit
    limits.update(watched.stack.first["project_id"], currency="USD", interval="month", threshold_amount=cents)


def lose_a_file(watched: Watched, client: OpenAI) -> None:
    """Its check cannot read it, and a job has waited for it for two hours."""
    file = client.files.create(file=("lost.jsonl", lines()), purpose="fine-tune")
    watched.until(lambda: client.files.retrieve(file.id).status == "processed")
    (watched.stack.state / "files" / file.id).unlink()
    watched.execute(f"update datasets set status = 'uploaded', due_at = now() where id = '{file.id}'")
    job = client.fine_tuning.jobs.create(training_file=file.id, model=MODEL)
    watched.execute(f"update jobs set created_at = now() - interval '2 hours' where id = '{job.id}'")


def is_failed(client: OpenAI) -> bool:
    """Ask a model whose provider does not answer."""
    with pytest.raises(InternalServerError):
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "?"}])
    return True


def let_what_is_stored_go_wrong(watched: Watched, client: OpenAI, job_id: str) -> None:
    """Faults that leave all servers running, and do not hide one another."""
    alerts = (
        *("TuneryModelRetires", "TuneryBudgetNearEnd", "TuneryStepsFail", "TuneryRowsStuck"),
        *("TuneryJobsNotPrepared", "TuneryDeliveriesFail", "TuneryAccountFails"),
    )
    with Receiver.listening() as receiver, watched.fires(*alerts):
        lose_a_file(watched, client)
        receiver.answers = [500] * 1000
        client.webhooks.create(name="x", url=receiver.url, event_types=["fine_tuning.job.cancelled"])
        client.fine_tuning.jobs.cancel(job_id)
        limit(watched, client, cents=1)
        watched.execute(RETIRE_A_MODEL)
        watched.execute('update credentials set test_error = \'{"code": "x", "message": "x"}\'')
    limit(watched, client, cents=1_000_000)


def test_each_fault_lets_its_alert_fire_and_each_panel_has_something_to_show(watched: Watched, client: OpenAI) -> None:
    began = time.time()
    first, second, _ = [create_job(client, examples) for examples in (200, 12, 12)]
    watched.until(lambda: bool(watched.asks(f"{CREATED} == 3 and on () sum(tunery_open_jobs) == 3")))
    # Healthy and at work. It may only be that the system's own disk is full, and what an empty table grows by in these
    # 20 s is very much in a month.
    assert watched.firing() - {"TuneryStorageFull", "TuneryTableGrows"} == set()

    let_each_panel_show_something(watched, client)
    let_what_is_stored_go_wrong(watched, client, first)
    watched.until(lambda: not watched.shows_nothing(began))
    with watched.fires("TuneryAccountBacksOff", "TuneryTableGrows"):
        watched.execute(GROW_A_TABLE)
        watched.execute("update credentials set paused_until = now() + interval '1 hour'")
    watched.execute("update credentials set paused_until = null")
    with watched.fires("TuneryDeliveriesWithoutSender"):
        watched.kill("sender")
        client.fine_tuning.jobs.cancel(second)
    with watched.fires("TuneryProviderCallsFail", "TuneryRequestsFail"):
        watched.kill("sandbox")
        watched.until(lambda: is_failed(client) and "TuneryRequestsFail" in watched.firing())
    with watched.fires("TuneryDueRowsWait", "TuneryQueueWithoutWorker"):
        watched.kill("worker")
        watched.execute("update datasets set due_at = now() - interval '10 minutes'")
    with watched.fires("TuneryDependencyDown"):
        watched.kill("valkey")
    with watched.fires("TuneryBeatSilent", "TuneryApiSilent"):
        watched.kill("beat")
        watched.kill("api")

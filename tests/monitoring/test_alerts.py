"""The alerts with real servers, a real fault and a real Prometheus: silent before, firing after."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import InternalServerError, NotFoundError, OpenAI

from tests.monitoring.prometheus import NEEDS_PROMETHEUS
from tests.monitoring.watched import Watched, may_lease, may_mount, slow_to_open, watching
from tests.servers import Receiver
from tests.world import lines

CREATED = 'sum(tunery_provider_call_seconds_count{verb="create_job",status="ok"})'
MODEL = "gpt-4o-mini-2024-07-18"
RETIRE_A_MODEL = f"""update credentials set base_models = jsonb_build_array(jsonb_build_object(
    'id', '{MODEL}', 'created', 0, 'owned_by', 'x', 'shutdown_date', current_date + 10))"""
GROW_A_TABLE = """insert into job_events select (jsonb_populate_record(null::job_events, to_jsonb(one)
    || jsonb_build_object('id', id || number, 'provider_event_id', id || number))).*
    from (select * from job_events limit 1) as one, generate_series(1, 20000) as number"""
pytestmark = [NEEDS_PROMETHEUS, pytest.mark.timeout(600)]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with watching(tmp_path) as watched:
        yield watched


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


def check_from_slow_storage(watched: Watched, client: OpenAI) -> None:
    file = client.files.create(file=("slow.jsonl", lines(20_000)), purpose="fine-tune")
    assert file.bytes > 1_200_000
    counted = f'sum(tunery_checked_bytes_total{{pass="tokens"}}) >= {file.bytes}'
    watched.until(lambda: bool(watched.asks(counted)))  # nothing else opens it any more
    with slow_to_open(watched.stack.state / "files" / file.id, seconds=10):
        watched.execute(f"update datasets set status = 'uploaded', due_at = now() where id = '{file.id}'")


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
    if may_mount():
        watched.start_beat_on_a_small_disk(used=0)
        with watched.fires("TuneryStorageFull"):
            watched.start_beat_on_a_small_disk(used=1_000_000)
    if may_lease(watched.stack.state):
        with watched.fires("TuneryChecksSlow"):
            check_from_slow_storage(watched, client)
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

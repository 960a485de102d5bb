"""Every task there is. A task is a name and an id: «look at this row now»."""

import gc
import logging
import os
import signal
import threading
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from celery import signals
from celery.concurrency import get_implementation, prefork
from celery.exceptions import WorkerShutdown
from celery.utils.log import get_multiprocessing_logger
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from shared.broker.queue import Task, get_celery
from shared.database import get_engine, transaction
from shared.datasets.models import ProviderFile
from shared.db.claims import claim
from shared.jobs.models import Job, Watch
from shared.key_rotation.startup_check import check_keys_of_server
from shared.log import set_up_logging
from shared.settings import get_settings
from worker.accounts import reconcile, refresh
from worker.datasets import close_upload as closing
from worker.datasets import dataset_step, upload_to_provider
from worker.email import send
from worker.jobs import admission, job_step, tuned_models, watch
from worker.runtime import health, kombu_qos, shares
from worker.runtime.steps import run
from worker.webhooks import deliver, recover

log = structlog.get_logger(__name__)
STOP_WITHIN = 20.0  # seconds that running steps have to end after the worker got its stop signal

kombu_qos.install()
app = get_celery()
# A worker waits for messages, a request must not wait.
app.conf.broker_transport_options |= {
    "socket_connect_timeout": 1,
    "socket_timeout": 10,
    "max_retries": 1,
    "interval_start": 0,
}


@app.task(name=Task.ADVANCE_DATASET)
def advance_dataset(dataset_id: str) -> None:
    run(dataset_step.advance, dataset_id)


@app.task(name=Task.UPLOAD_DATASET)
def upload_dataset(file_id: str) -> None:
    run(upload_to_provider.upload, file_id)
    upload_to_provider.wake_waiting_jobs(file_id)


@app.task(name=Task.CLOSE_UPLOAD)
def close_upload(upload_id: str) -> None:
    run(closing.close, upload_id)


@app.task(name=Task.ADVANCE_JOB)
def advance_job(job_id: str) -> None:
    run(job_step.advance, job_id)


@app.task(name=Task.WATCH_JOBS)
def watch_jobs(watch_id: str) -> None:
    run(watch.watch, watch_id)


@app.task(name=Task.ADMIT_JOBS)
def admit_jobs(queue_id: str) -> None:
    run(admission.admit, queue_id)


@app.task(name=Task.DELETE_MODEL)
def delete_model(model_id: str) -> None:
    run(tuned_models.delete, model_id)


@app.task(name=Task.DELIVER_WEBHOOKS)
def deliver_webhooks(endpoint_id: str) -> None:
    deliver.deliver(endpoint_id)


@app.task(name=Task.RECOVER_WEBHOOKS)
def recover_webhooks(recovery_id: str) -> None:
    run(recover.recover, recovery_id)


@app.task(name=Task.SEND_NOTIFICATION)
def send_notification(_: str) -> None:
    send.send_due()


@app.task(name=Task.REFRESH_CREDENTIAL)
def refresh_credential(credential_id: str) -> None:
    run(refresh.refresh, credential_id)


@app.task(name=Task.RECONCILE_CREDENTIAL)
def reconcile_credential(credential_id: str) -> None:
    reconcile.reconcile(credential_id)


@signals.setup_logging.connect
def _log(**_: object) -> None:
    """Also lets the pool of processes speak: that it replaces one which has used too much memory, only it knows."""
    set_up_logging()
    if (pool := get_multiprocessing_logger()) is not None:
        pool.propagate = True
        pool.setLevel(logging.WARNING)


@signals.celeryd_init.connect
def _log_from_the_first_line(**_: object) -> None:
    """Celery warns of things before it sends `setup_logging`."""
    set_up_logging()


@signals.worker_init.connect
def _check_keys(**_: object) -> None:
    check_keys_of_server()


@signals.worker_init.connect
def _share_delivery_slots(sender: Any, **_: object) -> None:
    """No project may have more than half of what this worker can send at once."""
    deliver.slots.max_per_project = max(1, sender.concurrency // 2)


@signals.worker_init.connect
def _share_slots(sender: Any, **_: object) -> None:
    """Of a worker that runs its steps in processes, the slots are shared between projects; a sender uses threads."""
    if get_implementation(sender.pool_cls) is prefork.TaskPool:
        shares.share(sender.concurrency)


@signals.worker_init.connect
def _prepare_for_children(**_: object) -> None:
    """Once, what each child would do for itself: it takes one 0.04 s to learn how a row is claimed, and 0.1 s to look
    for garbage through all that it shares with its parent."""
    gc.enable()  # which `worker.__main__` has put off
    with suppress(SQLAlchemyError), transaction() as session:
        for model in (Job, ProviderFile, Watch):
            claim(session, model, col(model.id) == "", timedelta())
    gc.collect()
    gc.freeze()


@signals.worker_ready.connect
def _serve_health(**_: object) -> None:
    try:
        health.start(get_settings().health_address)
    except OSError as error:
        reason = error.strerror or str(error)
        log.critical(f"TUNERY_HEALTH_ADDRESS: nobody can listen at {get_settings().health_address}: {reason}.")
        raise WorkerShutdown(1) from None


@signals.worker_shutdown.connect
def _say_the_end(**_: object) -> None:
    log.info("the worker has stopped")


@signals.worker_shutting_down.connect
def _stop_in_time(how: str, **_: object) -> None:
    """Nothing is begun any more. What takes too long to end is broken off: others go on when its lease has run out."""
    deliver.stopping.set()
    if how == "Warm":
        breaks_off = threading.Timer(STOP_WITHIN, os.kill, (os.getpid(), signal.SIGQUIT))
        breaks_off.daemon = True
        breaks_off.start()


@signals.worker_process_init.connect
def _own_connections(**_: object) -> None:
    """A child must not share its parent's connections to Postgres."""
    get_engine().dispose(close=False)


@signals.task_prerun.connect
def _bind(task_id: str, task: object, args: tuple[str, ...], **_: object) -> None:
    structlog.contextvars.bind_contextvars(task_id=task_id, task=getattr(task, "name", None), row=args[0])


@signals.task_prerun.connect
def _wait_for_slot(task: Any, **_: object) -> None:
    """Before the row is claimed, of which others would wait for the lock."""
    shares.wait_for_slot(task.request.get("project_id") or "")


@signals.task_postrun.connect
def _unbind(**_: object) -> None:
    structlog.contextvars.clear_contextvars()

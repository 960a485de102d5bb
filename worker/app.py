"""Every task there is. A task is a name and an id: «look at this row now»."""

from typing import Any

from celery import signals
from celery.concurrency import get_implementation, prefork

from shared.broker.queue import Task
from worker.accounts import reconcile, refresh
from worker.datasets import close_upload as closing
from worker.datasets import dataset_step, examine_ahead, upload_to_provider
from worker.deployments import deployment_step
from worker.jobs import admission, job_step, tuned_models, watch
from worker.process import app
from worker.runtime import shares
from worker.runtime.steps import run
from worker.sender import deliver_webhooks, send_notification
from worker.webhooks import recover

__all__ = ["app", "deliver_webhooks", "send_notification"]


@app.task(name=Task.ADVANCE_DATASET)
def advance_dataset(dataset_id: str) -> None:
    run(dataset_step.advance, dataset_id)


@app.task(name=Task.EXAMINE_AHEAD, bind=True)
def examine(task: Any, dataset_id: str) -> None:
    examine_ahead.examine(dataset_id, task.request.project_id)


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


@app.task(name=Task.ADVANCE_DEPLOYMENT)
def advance_deployment(deployment_id: str) -> None:
    run(deployment_step.advance, deployment_id)


@app.task(name=Task.RECOVER_WEBHOOKS)
def recover_webhooks(recovery_id: str) -> None:
    run(recover.recover, recovery_id)


@app.task(name=Task.REFRESH_CREDENTIAL)
def refresh_credential(credential_id: str) -> None:
    run(refresh.refresh, credential_id)


@app.task(name=Task.RECONCILE_CREDENTIAL)
def reconcile_credential(credential_id: str) -> None:
    reconcile.reconcile(credential_id)


@signals.worker_init.connect
def _share_slots(sender: Any, **_: object) -> None:
    """Of a worker that runs its steps in processes, the slots are shared between projects; a sender uses threads."""
    if get_implementation(sender.pool_cls) is prefork.TaskPool:
        shares.share(sender.concurrency)


@signals.task_prerun.connect
def _wait_for_slot(task: Any, **_: object) -> None:
    """Before the row is claimed, of which others would wait for the lock."""
    shares.wait_for_slot(task.request.get("project_id") or "")

"""The tasks of a sender, which needs no more than this in memory: webhooks and e-mail."""

from typing import Any

from celery import signals

from shared.broker.queue import Task
from worker.email import send
from worker.process import app
from worker.webhooks import deliver


@app.task(name=Task.DELIVER_WEBHOOKS, bind=True)
def deliver_webhooks(task: Any, endpoint_id: str) -> None:
    deliver.deliver(endpoint_id, task.request.project_id)


@app.task(name=Task.SEND_NOTIFICATION)
def send_notification(_: str) -> None:
    send.send_due()


@signals.worker_init.connect
def _share_delivery_slots(sender: Any, **_: object) -> None:
    """No project may have more than half of what this worker can send at once."""
    deliver.slots.max_per_project = max(1, sender.concurrency // 2)


@signals.worker_shutting_down.connect
def _begin_no_delivery(**_: object) -> None:
    deliver.stopping.set()

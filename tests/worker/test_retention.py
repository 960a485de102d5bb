"""What is finished and old is forgotten, and nothing else."""

from shared.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEvent, WebhookRecovery
from tests.servers import Receiver, closed_port
from tests.worker.support import change, endpoint_of, forget_all, ids, settings, step_while, write_event
from tests.worker.test_recover import happened, recover
from tests.world import Person, step, work
from worker.webhooks import deliver

AT_ONCE = {"TUNERY_WEBHOOK_RETENTION": "0"}  # whatever is finished is old


def test_what_is_finished_is_forgotten_with_its_attempts_and_its_event(alice: Person, receiver: Receiver) -> None:
    endpoint_id = endpoint_of(alice, receiver.url)["id"]
    receiver.answers = [200, 410]
    happened(alice, 60)
    for _ in range(2):
        write_event(alice)
    step(WebhookRecovery, recover(alice, endpoint_id, 0)["id"])
    work()
    assert [len(ids(model)) for model in (WebhookAttempt, WebhookDelivery, WebhookRecovery)] == [2, 3, 1]
    with settings(**AT_ONCE):
        forget_all()
    for model in (WebhookAttempt, WebhookDelivery, WebhookEvent, WebhookRecovery):
        assert ids(model) == []


def test_what_is_still_to_be_delivered_is_kept_however_old(alice: Person) -> None:
    endpoint_of(alice, f"http://127.0.0.1:{closed_port()}/")
    event_id = write_event(alice)
    [delivery_id] = ids(WebhookDelivery)
    with settings(**AT_ONCE):
        step_while(deliver.attempt, delivery_id, forget_all)
        forget_all()
    assert (ids(WebhookEvent), ids(WebhookDelivery), len(ids(WebhookAttempt))) == ([event_id], [delivery_id], 1)
    change(WebhookDelivery, delivery_id, due_at=None)
    with settings(**AT_ONCE):
        forget_all()
    assert (ids(WebhookEvent), ids(WebhookDelivery), ids(WebhookAttempt)) == ([], [], [])


def test_what_was_finished_lately_is_kept_with_its_event(alice: Person, receiver: Receiver) -> None:
    endpoint_id = endpoint_of(alice, receiver.url)["id"]
    [event_id] = happened(alice, 60 * 86_400)
    step(WebhookRecovery, recover(alice, endpoint_id, 0)["id"])
    work()
    forget_all()
    assert ids(WebhookEvent) == [event_id]
    assert [len(ids(model)) for model in (WebhookAttempt, WebhookDelivery, WebhookRecovery)] == [1, 1, 1]


def test_events_of_which_nobody_was_told_are_kept_for_a_month(alice: Person) -> None:
    _, young = happened(alice, 31 * 86_400, 29 * 86_400)
    forget_all()
    assert ids(WebhookEvent) == [young]

"""Tells projects that a provider will stop what they have tuned: when it says so, and 90, 30 and 7 days before."""

from datetime import date

from sqlmodel import Session, col, select

from shared.datasets.validation.rules import fitness
from shared.datasets.validation.rules.fitness import SHUTDOWN_NOTICE_DAYS
from shared.jobs.creation.fitness import shutdown_of
from shared.jobs.elsewhere.offers import Offer, offers
from shared.jobs.models import TunedModel
from shared.jobs.names.schemas import ModelPublic
from shared.jobs.tuned_models import stated_end
from shared.notifications import events
from shared.projects.models import Credential
from shared.webhooks.event_types import EventType

REMINDER_DAYS = (7, 30, SHUTDOWN_NOTICE_DAYS)
MAX_NAMED = 5  # alternatives in one event
MAX_TOLD = 200  # models in one transaction


class ModelEnds(ModelPublic):
    """A tuned model that stops in so many days, and up to five bases that stay for longer than 90 days.

    Each alternative has `provider`, `model` and `shutdown_date`, which is null if no end is announced.
    """

    days_left: int
    alternatives: list[dict[str, str | None]]


def tell(session: Session, credential: Credential) -> None:
    """Emit an event for each tuned model of this account whose last day was announced or changed, or comes nearer.

    Each of the reminders is sent once. One that is due together with another is not: a base that stops in five days
    is told of once. At most `MAX_TOLD` are told of at a time; the next refresh goes on.
    """
    n_told = 0
    alive = select(TunedModel).where(TunedModel.credential_id == credential.id, col(TunedModel.deleted_at).is_(None))
    for model in session.exec(alive.order_by(TunedModel.id)):
        if n_told == MAX_TOLD:
            return
        stated = stated_end(model.base_model, credential.base_models)
        days_left = _days_left(stated)
        if stated is None or days_left is None:
            continue
        reminder = next((days for days in REMINDER_DAYS if days_left <= days), None)
        is_news = stated != model.shutdown_date_notified
        if is_news or (reminder is not None and reminder < (model.shutdown_reminder or reminder + 1)):
            model.shutdown_date_notified, model.shutdown_reminder = stated, reminder
            _emit(session, model, stated, days_left, credential.provider)
            n_told += 1


def _days_left(stated: str | None) -> int | None:
    """None if the provider states no day, or one that cannot be read."""
    try:
        return (date.fromisoformat(stated or "") - fitness.today()).days
    except ValueError:
        return None


def _emit(session: Session, model: TunedModel, stated: str, days_left: int, provider: str) -> None:
    public = ModelPublic.of(model, stated, provider)
    others = [each for each in offers(session, model.project_id, None) if each.base != model.base_model]
    staying = [each for each in others if _stays(each)]
    data = ModelEnds(
        **public.model_dump(), days_left=days_left, alternatives=[_elsewhere(each) for each in staying[:MAX_NAMED]]
    )
    events.emit(session, model.project_id, EventType.MODEL_SHUTDOWN_SCHEDULED, data.model_dump(mode="json"))


def _stays(offer: Offer) -> bool:
    end = shutdown_of(offer.credential, offer.base)
    return end is None or (end - fitness.today()).days > SHUTDOWN_NOTICE_DAYS


def _elsewhere(offer: Offer) -> dict[str, str | None]:
    stated = stated_end(offer.base, offer.credential.base_models)
    return {"provider": offer.credential.provider, "model": offer.base, "shutdown_date": stated}

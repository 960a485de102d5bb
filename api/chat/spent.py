"""Refuses questions of known price to a project whose budget is used up. It is looked up every few seconds at most."""

import time

from sqlmodel import Session

from shared.budgets import service as budgets
from shared.db.times import utc_now
from shared.errors import SpendLimitExceeded
from shared.inference.prices import rates_of
from shared.inference.recording import Place

LOOK_AGAIN_SECONDS = 5.0  # what was asked meanwhile is not counted yet, either
MAX_KNOWN = 10_000  # projects
_known: dict[str, tuple[float, str | None]] = {}  # when it was looked up, and the refusal


def check(session: Session, project_id: str, place: Place) -> None:
    """Raises `SpendLimitExceeded`, unless the answer costs nothing here, or nobody knows what."""
    refusal = _refusal(session, project_id)
    if refusal is not None and costs(session, project_id, place):
        raise SpendLimitExceeded(refusal)


def costs(session: Session, project_id: str, place: Place) -> bool:
    """Whether an answer from there is known to cost something."""
    if place.is_deployed:
        return False
    rates = rates_of(session, project_id, place.provider, place.model, utc_now().date())
    return rates is not None and bool(rates.cost(1, 0, 1))


def forget() -> None:
    """Look budgets up anew."""
    _known.clear()


def _refusal(session: Session, project_id: str) -> str | None:
    looked_up_at, refusal = _known.get(project_id, (float("-inf"), None))
    if time.monotonic() < looked_up_at + LOOK_AGAIN_SECONDS:
        return refusal
    if len(_known) >= MAX_KNOWN:
        _known.clear()
    refusal, budget = None, budgets.budget_of(session, project_id)
    try:
        if budget is not None:
            budgets.check_open(session, budget, budgets.OF_A_QUESTION)
    except SpendLimitExceeded as error:
        refusal = error.message
    _known[project_id] = time.monotonic(), refusal
    return refusal

"""Backs off from an account that answers «too many calls»: all calls to it wait, whatever they are for."""

import secrets
from datetime import datetime, timedelta

from sqlmodel import Session

from shared.db.claims import release
from shared.db.row_security import across_projects
from shared.db.tables import DueTable, OwnedDue
from shared.db.times import utc_now
from shared.projects.models import Credential
from worker.jobs.admission import is_full
from worker.providers.errors import ProviderError
from worker.runtime import steps
from worker.runtime.errors import NotNow, StepError
from worker.runtime.steps import backoff, log

SPREAD = 0.2  # rows come back over this part of the pause and a second, not all at once


def open_credential(session: Session, credential_id: str) -> Credential:
    """The account that a step is about to call. Raises `NotNow` while calls to it back off, which counts no failure."""
    credential = session.get_one(Credential, credential_id)
    check_open(credential)
    return credential


def check_open(credential: Credential) -> None:
    now = utc_now()
    if credential.paused_until is not None and credential.paused_until > now:
        raise NotNow(_spread(now, credential.paused_until))


def is_slow_down(error: StepError) -> bool:
    """Whether the error is about the number of calls. One about jobs is for their queue, one about money is final."""
    return (
        isinstance(error, ProviderError)
        and error.retryable
        and not is_full(error)
        and (error.status == 429 or (error.status == 503 and error.retry_after is not None))
    )


def try_again(session: Session, row: DueTable | OwnedDue, credential_id: str, error: StepError) -> None:
    """Release the row until its back-off is over. Too many calls are no failure of this row: the account backs off."""
    if is_slow_down(error):
        release(row, pause(session, credential_id, error))  # this row tries first, the others after it
    else:
        steps.try_again(row, error)


def pause(session: Session, credential_id: str, error: StepError) -> datetime:
    """Back off from the account, for as long as it asks or longer each time. Returns until when.

    The pauses begin short again after an account was called for longer than its last pause. Of calls that were under
    way together only the first counts.
    """
    with across_projects(session):  # the deployment's account is no project's to change
        credential = _paused(session, credential_id, error)
    log.warning(
        "the provider asks for fewer calls: calls to this account back off",
        credential=credential_id,
        until=str(credential.paused_until),
        code=error.code,
        reason=error.message,
    )
    return credential.paused_until or utc_now()


def _paused(session: Session, credential_id: str, error: StepError) -> Credential:
    credential = session.get_one(Credential, credential_id, with_for_update={"key_share": True}, populate_existing=True)
    now = utc_now()
    last = credential.paused_until or now - timedelta(days=1)
    if last <= now:
        credential.pauses = credential.pauses + 1 if now - last < backoff(credential.pauses - 1) else 1
    until = now + backoff(credential.pauses - 1, error.retry_after)
    if last <= now or error.retry_after is not None:
        credential.paused_until = max(last, until)
    return credential


def _spread(now: datetime, until: datetime) -> datetime:
    return until + ((until - now) * SPREAD + timedelta(seconds=1)) * (secrets.randbelow(1001) / 1000)

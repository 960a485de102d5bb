"""Tests a credential: makes its next step due, in which a worker calls the provider, and waits for the result."""

from datetime import datetime
from functools import partial

from starlette.concurrency import run_in_threadpool

from api import idempotency
from api.http.await_worker import wait_for
from shared.database import transaction
from shared.db.claims import make_due
from shared.db.times import utc_now
from shared.errors import WorkerUnavailable
from shared.projects import credentials
from shared.projects import service as projects
from shared.projects.credential_schemas import CredentialTest
from shared.settings import get_settings


async def test_and_wait(project_id: str, credential_id: str) -> CredentialTest:
    """Return the provider's answer to the current key. Raises `WorkerUnavailable` if no worker tested it in time.

    Repeated with the same `Idempotency-Key`, it returns the first answer or a later one.
    """
    since = await run_in_threadpool(_request_test, project_id, credential_id)
    settings = get_settings()
    timeout = settings.enqueue_again_after + 2 * settings.provider.timeout  # the step makes two calls
    answer = await wait_for(partial(_find_answer, project_id, credential_id, since), timeout)
    if answer is None:
        raise WorkerUnavailable("The credential has not been tested yet, because no worker is free: try again")
    return answer


def _request_test(project_id: str, credential_id: str) -> datetime:
    with transaction(project_id) as session:
        if requested_at := idempotency.recall(session):
            return datetime.fromisoformat(requested_at)
        now = utc_now()
        projects.get_active_project(session, project_id)
        credential = credentials.get(session, project_id, credential_id)
        make_due(session, credential, even_if_backing_off=True)
        idempotency.remember(now.isoformat())
        return now


def _find_answer(project_id: str, credential_id: str, since: datetime) -> CredentialTest | None:
    """Return the last answer; None while it is older than `since` or for an earlier key."""
    with transaction(project_id) as session:
        found = credentials.get(session, project_id, credential_id)
        is_new = found.tested_at is not None and found.tested_at >= since and found.tested_version == found.key_version
        return CredentialTest.of(found) if is_new else None

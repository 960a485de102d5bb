"""A test of a credential: the worker asks the provider, as it does now and then anyway, and the caller waits."""

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


async def ask_and_wait(project_id: str, credential_id: str) -> CredentialTest:
    """What the provider answers to the present key. Raises `WorkerUnavailable` if nobody has asked it in time.

    Asked again under the same `Idempotency-Key`, it tells of the answer to what was asked the first time, or a later.
    """
    since = await run_in_threadpool(_ask, project_id, credential_id)
    settings = get_settings()  # the provider is asked two things
    timeout = settings.enqueue_again_after + 2 * settings.provider.timeout
    answer = await wait_for(partial(_answer, project_id, credential_id, since), timeout)
    if answer is None:
        raise WorkerUnavailable("The provider has not been asked yet: no worker is free. Ask again")
    return answer


def _ask(project_id: str, credential_id: str) -> datetime:
    with transaction(project_id) as session:
        if asked_at := idempotency.recall(session):
            return datetime.fromisoformat(asked_at)
        now = utc_now()
        projects.get_active_project(session, project_id)
        credential = credentials.get(session, project_id, credential_id)
        make_due(session, credential, even_if_backing_off=True)
        idempotency.remember(now.isoformat())
        return now


def _answer(project_id: str, credential_id: str, since: datetime) -> CredentialTest | None:
    """None while the answer is older than the question, or to another key."""
    with transaction(project_id) as session:
        found = credentials.get(session, project_id, credential_id)
        is_new = found.tested_at is not None and found.tested_at >= since and found.tested_version == found.key_version
        return CredentialTest.of(found) if is_new else None

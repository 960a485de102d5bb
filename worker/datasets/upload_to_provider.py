"""Send a dataset to the provider, once for all jobs: whole or in parts, and found again after a crash."""

import re
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

from openai.types import FileObject
from sqlmodel import Session

from shared.database import transaction
from shared.datasets import service as datasets
from shared.datasets.models import Dataset, ProviderFile, ProviderFileStatus
from shared.datasets.read_progress import watched
from shared.datasets.storage import store
from shared.db.claims import release
from shared.db.row_security import narrow
from shared.db.times import utc_now
from shared.jobs import service as jobs
from shared.projects.models import Credential
from shared.settings import get_settings
from worker.jobs.backpressure import open_credential, try_again
from worker.providers.errors import ProviderError
from worker.providers.openai import Provider, file_expiry
from worker.providers.registry import get_provider
from worker.runtime.errors import StepError
from worker.runtime.steps import Lease, Step, reference

WHOLE_UP_TO = 100_000_000  # above that, POST /files fails late at some providers
PART_BYTES = 32 << 20
NAME = re.compile(rf"({Dataset.id_prefix}[0-9a-z]{{26}})-[0-9a-f]{{12}}\.jsonl")


@dataclass(frozen=True)
class Plan:
    """`unknown_since`: an earlier attempt began then, and nobody knows how it ended."""

    file: ProviderFile
    dataset: Dataset
    credential: Credential
    unknown_since: datetime | None

    @property
    def name(self) -> str:
        """Carries our id and the content's hash, so that the file can be found again; `NAME` reads it."""
        return f"{self.dataset.id}-{self.dataset.sha256[:12]}.jsonl"


@dataclass(frozen=True)
class Begun:
    """An upload in parts, and the parts sent so far."""

    upload_id: str
    part_ids: list[str]


def _plan(session: Session, file: ProviderFile) -> Plan | None:
    dataset = session.get_one(Dataset, file.dataset_id)
    if file.status is not ProviderFileStatus.PENDING:
        release(file, None)
        return None
    if dataset.deleted_at is not None:
        datasets.record_refusal(file, "file_deleted", f"{dataset.id} has been deleted")
        return None
    unknown_since = file.upload_pending_at
    file.upload_pending_at = unknown_since or utc_now()
    return Plan(file, dataset, open_credential(session, file.credential_id), unknown_since)


def _call(plan: Plan) -> FileObject | Begun:
    provider = get_provider(plan.credential)
    if plan.unknown_since is not None and plan.file.provider_upload_id is None:
        found = provider.find_file(plan.name, plan.dataset.bytes, plan.unknown_since)
        if found is not None:
            return found
    expiry = get_settings().provider.file_expiry
    if plan.dataset.bytes <= WHOLE_UP_TO:
        with store.open_dataset(plan.dataset.id) as content:
            return provider.create_file(plan.name, watched(content, Lease(plan.file).renew), expiry)
    if plan.file.provider_upload_id is None:
        return Begun(provider.create_upload(plan.name, plan.dataset.bytes, expiry), [])
    return _continue(provider, plan, plan.file.provider_upload_id)


def _continue(provider: Provider, plan: Plan, upload_id: str) -> FileObject | Begun:
    sent = len(plan.file.part_ids) * PART_BYTES
    if sent >= plan.dataset.bytes:
        return provider.complete_upload(upload_id, plan.file.part_ids)
    with store.open_dataset(plan.dataset.id) as content:
        content.seek(sent)
        part = BytesIO(content.read(PART_BYTES))
    part_id = provider.create_part(upload_id, watched(part, Lease(plan.file).renew))
    return Begun(upload_id, [*plan.file.part_ids, part_id])


def _record(session: Session, file: ProviderFile, plan: Plan, answer: FileObject | Begun | StepError) -> None:
    if isinstance(answer, Begun):
        file.provider_upload_id, file.part_ids = answer.upload_id, answer.part_ids  # retries count on: see below
        release(file, utc_now())
    elif isinstance(answer, FileObject):
        file.retries = 0
        datasets.record_upload(file, answer.id, file_expiry(answer))
    elif answer.retryable:
        effect_unknown = isinstance(answer, ProviderError) and answer.effect_unknown
        if not effect_unknown and file.provider_upload_id is None:
            file.upload_pending_at = None
        try_again(session, file, file.credential_id, answer)
        if effect_unknown and plan.dataset.bytes <= WHOLE_UP_TO:
            _wait_for_it(file)
    elif file.provider_upload_id is not None and file.retries < get_settings().max_step_failures:
        datasets.forget_parts(file)  # completed by an attempt that died, or expired: find the file, or begin again
        file.upload_pending_at = plan.unknown_since
        try_again(session, file, file.credential_id, answer)
    else:
        datasets.record_refusal(file, answer.code, answer.message)


def _wait_for_it(file: ProviderFile) -> None:
    """It may still arrive: what is looked for too early is sent twice. A lease that runs out is as long a wait."""
    file.due_at = max(file.due_at or utc_now(), utc_now() + get_settings().create_grace)


def _give_up(_: Session, file: ProviderFile) -> None:
    sentence = "The file could not be sent to the provider, by our fault; tell your operator its id"
    datasets.record_refusal(file, "internal_error", f"{sentence}, {reference(file.dataset_id)}")


upload = Step(ProviderFile, _plan, _call, _record, _give_up)


def wake_waiting_jobs(file_id: str) -> None:
    """Let the jobs that wait for this file go on. A transaction of its own: the two rows are never locked together."""
    with transaction() as session:
        file = session.get(ProviderFile, file_id)
        if file is not None and file.status is not ProviderFileStatus.PENDING:
            narrow(session, file.project_id)
            jobs.wake_waiting(session, file.dataset_id)

"""Sends a dataset to a provider once for all its jobs, whole or in parts, and finds the file again after a crash."""

import re
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import BinaryIO

from sqlmodel import Session

from shared.database import transaction
from shared.datasets import service as datasets
from shared.datasets.models import Dataset, ProviderFile, ProviderFileStatus
from shared.datasets.read_progress import call_before_reads
from shared.datasets.storage import store
from shared.db.claims import release
from shared.db.row_security import limit_to_project
from shared.db.times import utc_now
from shared.jobs import service as jobs
from shared.projects.credentials import capabilities_of
from shared.projects.models import Credential
from shared.providers.capabilities import Capabilities
from shared.settings import get_settings
from worker.jobs.backpressure import open_credential, try_again
from worker.providers import protocol
from worker.providers.errors import ProviderError
from worker.providers.registry import get_provider
from worker.runtime.errors import StepError, internal_error
from worker.runtime.steps import Lease, Step

NAME = re.compile(rf"({Dataset.id_prefix}[0-9a-z]{{26}})-[0-9a-f]{{12}}\.jsonl")


@dataclass(frozen=True)
class Plan:
    """`unknown_since` is when an earlier attempt began, if nobody knows how it ended."""

    file: ProviderFile
    dataset: Dataset
    credential: Credential
    unknown_since: datetime | None

    @property
    def name(self) -> str:
        """The name of the file at the provider, by which it is found again: our id and the content's hash. `NAME`
        matches it."""
        return f"{self.dataset.id}-{self.dataset.sha256[:12]}.jsonl"

    @property
    def capabilities(self) -> Capabilities:
        return capabilities_of(self.credential)

    @property
    def is_sent_whole(self) -> bool:
        return self.dataset.bytes <= self.capabilities.max_whole_file_bytes


@dataclass(frozen=True)
class Begun:
    """An upload in parts, and the parts sent so far."""

    upload_id: str
    part_ids: list[str]


Answer = protocol.ProviderFile | Begun


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


def _call(plan: Plan) -> Answer:
    provider = get_provider(plan.credential)
    if plan.unknown_since is not None and plan.file.provider_upload_id is None:
        found = provider.find_file(plan.name, plan.dataset.bytes, plan.unknown_since)
        if found is not None:
            return found
    expiry = get_settings().provider.file_expiry
    if plan.is_sent_whole:
        with store.open_dataset(plan.dataset.id) as content:
            return provider.create_file(_new_file(plan, call_before_reads(content, Lease(plan.file).renew)), expiry)
    if plan.file.provider_upload_id is None:
        return Begun(provider.create_upload(plan.name, plan.dataset.bytes, expiry), [])
    return _send_next_part(provider, plan, plan.file.provider_upload_id)


def _new_file(plan: Plan, content: BinaryIO) -> protocol.NewFile:
    dataset = plan.dataset
    return protocol.NewFile(plan.name, content, dataset.bytes, dataset.sha256, dataset.examples or 0)


def _send_next_part(provider: protocol.Provider, plan: Plan, upload_id: str) -> Answer:
    """One part a step: each is recorded before the next, so that a crash repeats one part at most."""
    part_bytes = plan.capabilities.part_bytes
    sent = len(plan.file.part_ids) * part_bytes
    if sent >= plan.dataset.bytes:
        return provider.complete_upload(upload_id, plan.file.part_ids)
    with store.open_dataset(plan.dataset.id) as content:
        content.seek(sent)
        part = BytesIO(content.read(part_bytes))
    part_id = provider.create_part(upload_id, call_before_reads(part, Lease(plan.file).renew))
    return Begun(upload_id, [*plan.file.part_ids, part_id])


def _record(session: Session, file: ProviderFile, plan: Plan, answer: Answer | StepError) -> None:
    match answer:
        case Begun():
            # `retries` is not reset: it bounds how often an upload may begin again, see `_record_error`.
            file.provider_upload_id, file.part_ids = answer.upload_id, answer.part_ids
            release(file, utc_now())
        case protocol.ProviderFile():
            file.retries = 0
            datasets.record_upload(file, answer.id, answer.expires_at)
        case StepError():
            _record_error(session, file, plan, answer)


def _record_error(session: Session, file: ProviderFile, plan: Plan, error: StepError) -> None:
    may_begin_again = file.retries < get_settings().max_step_failures
    if error.retryable and (may_begin_again or error.code != "signed_address_refused"):
        effect_unknown = isinstance(error, ProviderError) and error.effect_unknown
        if not effect_unknown and file.provider_upload_id is None:
            file.upload_pending_at = None
        try_again(session, file, file.credential_id, error)
        if effect_unknown and plan.is_sent_whole:
            # The file may still arrive, and a search before that would send it twice. A lease that runs out waits as
            # long.
            file.due_at = max(file.due_at or utc_now(), utc_now() + get_settings().create_grace)
    elif file.provider_upload_id is not None and may_begin_again:
        # The upload has expired, or was completed by an attempt that crashed: find its file, or begin another upload.
        datasets.forget_parts(file)
        file.upload_pending_at = plan.unknown_since
        try_again(session, file, file.credential_id, error)
    else:
        datasets.record_refusal(file, error.code, error.message)


def _give_up(_: Session, file: ProviderFile) -> None:
    sentence = internal_error("the upload of this file to the provider", file.dataset_id)
    datasets.record_refusal(file, "internal_error", sentence)


upload = Step(ProviderFile, _plan, _call, _record, _give_up)


def wake_waiting_jobs(file_id: str) -> None:
    """Make the jobs due that wait for this file. Not in the step's transaction: a file's row and a job's are never
    locked together, so that neither order can deadlock."""
    with transaction() as session:
        file = session.get(ProviderFile, file_id)
        if file is not None and file.status is not ProviderFileStatus.PENDING:
            limit_to_project(session, file.project_id)
            jobs.wake_waiting(session, file.dataset_id)

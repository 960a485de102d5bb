"""The steps of a dataset: get its bytes, check it, count its tokens, expire it, and remove a deleted one everywhere."""

import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlmodel import Session, or_

from shared.datasets import reports
from shared.datasets import service as datasets
from shared.datasets.models import Dataset, DatasetStatus, ProviderFile
from shared.datasets.sources import SplitSource, read_source
from shared.datasets.storage import store
from shared.datasets.storage.store import Stored
from shared.datasets.validation.check import check
from shared.datasets.validation.findings.report import DEFAULT_ENCODING, Report
from shared.db.claims import release
from shared.db.times import utc_now
from shared.jobs import dataset_views, waiting
from shared.jobs import service as jobs
from shared.jobs.spending import reservation
from shared.metrics.instruments import CHECK_SECONDS, CHECKED_BYTES
from shared.projects.models import Credential
from worker.datasets.examine_ahead import known_ahead
from worker.datasets.sources import NotMade, Part, fetch, part_of
from worker.jobs.backpressure import check_open
from worker.providers.errors import ProviderError
from worker.providers.registry import get_provider
from worker.runtime.errors import NotNow, StepError, internal_error
from worker.runtime.shares import LARGE_FILE_BYTES
from worker.runtime.steps import Lease, Step, after, try_again

CHECK_PROCESSES = 2  # of one check; a worker runs several steps at once on the same cores
EXPIRY_RETRY = timedelta(minutes=10)  # until an expired file that a job needs is looked at again


@dataclass(frozen=True)
class Remove:
    """Delete the dataset's bytes, and its files at providers, but for those that another dataset shares."""

    provider_files: list[tuple[Credential, ProviderFile]]


@dataclass(frozen=True)
class Fetch:
    url: str


@dataclass(frozen=True)
class Check:
    """Check the structure, or count the tokens in an encoding. The structure comes first, in a step of its own, so that
    its errors are known before the slower count; but if most was examined ahead, both are done at once."""

    encoding: str | None


@dataclass(frozen=True)
class Plan:
    dataset: Dataset
    do: Remove | Fetch | Part | Check


Answer = Report | Stored | NotMade | None


def _plan(session: Session, dataset: Dataset) -> Plan | None:
    is_expired = dataset.expires_at is not None and dataset.expires_at <= utc_now()
    if dataset.deleted_at is None and is_expired and not _is_needed(session, dataset):
        dataset.deleted_at = utc_now()
    do = _next(session, dataset)
    return None if do is None else Plan(dataset, do)


def _is_needed(session: Session, dataset: Dataset) -> bool:
    named = or_(waiting.names_file(dataset.id), waiting.names_part_of(dataset.project_id, dataset.id))
    return waiting.first_that_needs(session, dataset.project_id, named) is not None


def _next(session: Session, dataset: Dataset) -> Remove | Fetch | Part | Check | None:
    """What to do now; None if the dataset only waits, or nothing is left to do. Then it has been released."""
    if dataset.deleted_at is not None:
        files = [file for file in datasets.provider_files(session, dataset.id) if not datasets.is_shared(session, file)]
        return Remove([(session.get_one(Credential, file.credential_id), file) for file in files])
    if dataset.source is not None and dataset.status is DatasetStatus.UPLOADED and not dataset.sha256:
        source = read_source(dataset.source)
        return _part(session, dataset, source) if isinstance(source, SplitSource) else Fetch(source.url)
    encoding = reports.next_encoding(session, dataset.id) if dataset.status is DatasetStatus.PROCESSED else None
    if dataset.status is DatasetStatus.UPLOADED or encoding is not None:
        dataset.check_progress = 0.0
        return Check(encoding)
    expires_at = dataset.expires_at  # one that has passed already is that of a file that a job still needs
    release(dataset, max(expires_at, after(EXPIRY_RETRY)) if expires_at and expires_at <= utc_now() else expires_at)
    return None


def _part(session: Session, dataset: Dataset, source: SplitSource) -> Part | None:
    """The part to cut off `source.split_of`. None while that is unchecked, or after an error if it cannot be used.

    The wait has an end of its own, in case the check's wake-up is lost.
    """
    whole = session.get_one(Dataset, source.split_of)
    if whole.deleted_at is not None or whole.status is DatasetStatus.ERROR:
        reason = "has been deleted" if whole.deleted_at is not None else f"cannot be used: {whole.status_details}"
        datasets.record_error(dataset, "invalid_source", f"{whole.id}, which it is a part of, {reason}")
        _wake(session, dataset)
        return None
    if whole.status is DatasetStatus.UPLOADED:
        release(dataset, after(jobs.WAIT_FOR_FILES))
        return None
    return Part(whole, source)


def _call(plan: Plan) -> Answer:
    lease = Lease(plan.dataset)
    match plan.do:
        case Remove(provider_files):
            _remove(plan.dataset, provider_files)
            return None
        case Fetch(url):
            return fetch(plan.dataset, url, lease)
        case Part():
            return part_of(plan.dataset.id, plan.do, lease)
        case Check(encoding):
            return _check(plan.dataset, encoding, lease)


def _check(dataset: Dataset, encoding: str | None, lease: Lease[Dataset]) -> Report:
    began = time.monotonic()
    with store.open_dataset(dataset.id) as file, known_ahead(dataset.id, file) as known:
        if encoding is None and known is not None and 3 * known.bytes >= 2 * dataset.bytes:
            encoding = DEFAULT_ENCODING  # to count the tokens of the rest takes no longer than to check the whole
        report = check(
            file,
            tokens=encoding is not None,
            encoding=encoding or DEFAULT_ENCODING,
            processes=CHECK_PROCESSES,
            sha256=dataset.sha256,
            progress=lambda done, total: lease.renew(partial(_show_progress, share=round(done / total, 4))),
            known=known,
        )
    if known is not None and not (encoding is None and report.valid):
        store.remove_ahead(dataset.id)
    what = "structure" if encoding is None else "tokens"
    CHECK_SECONDS.labels(what, str(report.valid).lower()).observe(time.monotonic() - began)
    CHECKED_BYTES.labels(what).inc(dataset.bytes)
    return report


def _show_progress(session: Session, dataset: Dataset, share: float | None) -> None:
    """Write the progress on the dataset, and on the jobs that wait for its check. None waits for the tokens."""
    dataset.check_progress = share
    if dataset.status is DatasetStatus.UPLOADED:
        jobs.show_check_progress(session, dataset.id)


def _remove(dataset: Dataset, provider_files: list[tuple[Credential, ProviderFile]]) -> None:
    """Delete our bytes and each provider file; a failure of one does not keep the others.

    A provider file past its expiry is deleted too: `expire_provider_files` sets the expiry of files that may still be
    there. Its failure is not repeated: the provider removes it by itself, or the daily reconciliation finds it.
    """
    store.remove(dataset.id)
    repeatable: StepError | None = None
    for credential, file in provider_files:
        error = _remove_provider_file(credential, file)
        is_expired = file.expires_at is not None and file.expires_at <= utc_now()
        if error is not None and error.retryable and not is_expired:
            repeatable = error
    if repeatable is not None:
        raise repeatable


def _remove_provider_file(credential: Credential, file: ProviderFile) -> StepError | None:
    """None if it was deleted; else why not."""
    try:
        check_open(credential)
        get_provider(credential).delete_file(file.provider_file_id or "")
    except NotNow as paused:
        wait = paused.until - utc_now() if paused.until is not None else None
        return StepError("its account backs off for now", "rate_limited", retryable=True, retry_after=wait)
    except ProviderError as error:
        return error
    return None


def _record(session: Session, dataset: Dataset, plan: Plan, answer: Answer | StepError) -> None:
    if isinstance(plan.do, Check):
        _show_progress(session, dataset, None)
    match answer:
        case StepError():
            try_again(dataset, answer)
        case None:
            datasets.delete_provider_files(session, dataset.id)
            release(dataset, None)
        case Stored():
            dataset.bytes, dataset.sha256 = answer.bytes, answer.sha256
            release(dataset, utc_now())
        case NotMade():
            datasets.record_error(dataset, answer.code, answer.message)
            _wake(session, dataset)
        case Report():
            _record_report(session, dataset, answer)
    if dataset.deleted_at is not None and answer is not None:  # it was deleted during the step: remove it next
        release(dataset, dataset.due_at if isinstance(answer, StepError) else utc_now())


def _record_report(session: Session, dataset: Dataset, report: Report) -> None:
    reports.save(session, dataset, report)
    if dataset.status is DatasetStatus.UPLOADED:
        datasets.record_check(dataset, report)
        _wake(session, dataset)
        if not report.valid:
            return
    if report.encoding is not None:
        reservation.note_estimates(session, dataset.id)
    is_done = reports.next_encoding(session, dataset.id) is None
    release(dataset, dataset.expires_at if is_done else utc_now())


def _wake(session: Session, dataset: Dataset) -> None:
    """Notify the project, and make the jobs and parts due that wait for the check of this dataset."""
    dataset_views.notify_checked(session, dataset)
    jobs.wake_waiting(session, dataset.id)
    datasets.wake_parts(session, dataset)


def _give_up(session: Session, dataset: Dataset) -> None:
    dataset.check_progress = None
    if dataset.deleted_at is None and dataset.status is DatasetStatus.UPLOADED:
        datasets.record_error(dataset, "internal_error", internal_error("the check of this file", dataset.id))
        _wake(session, dataset)
    else:
        release(dataset, None if dataset.deleted_at is not None else dataset.expires_at)


def _is_heavy(plan: Plan) -> bool:
    """Nobody knows how long an address takes. Checks and parts of large files take seconds."""
    match plan.do:
        case Fetch():
            return True
        case Part(whole):
            return whole.bytes > LARGE_FILE_BYTES
        case Check():
            return plan.dataset.bytes > LARGE_FILE_BYTES
        case Remove():
            return False


advance = Step(Dataset, _plan, _call, _record, _give_up, _is_heavy)

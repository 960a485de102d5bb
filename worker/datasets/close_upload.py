"""Expires an upload when its time is over, and removes the bytes of parts that no dataset is made of."""

from dataclasses import dataclass

from sqlmodel import Session

from shared.datasets import uploads
from shared.datasets.models import Upload, UploadStatus
from shared.datasets.storage import store
from shared.db.claims import release
from shared.db.times import utc_now
from worker.runtime.errors import StepError
from worker.runtime.steps import Step, log, try_again

MAX_PARTS_PER_STEP = 200  # so that a step stays far below its lease


@dataclass(frozen=True)
class Plan:
    """The parts whose bytes this step removes."""

    part_ids: list[str]


def _plan(session: Session, upload: Upload) -> Plan | None:
    if uploads.is_overdue(upload):
        upload.status = UploadStatus.EXPIRED
    if upload.status is UploadStatus.PENDING:
        release(upload, upload.expires_at)
        return None
    unused = uploads.unused_parts(session, upload)
    if not unused:
        release(upload, None)
        return None
    return Plan(unused[:MAX_PARTS_PER_STEP])


def _call(plan: Plan) -> None:
    store.remove(*plan.part_ids)


def _record(session: Session, upload: Upload, plan: Plan, answer: StepError | None) -> None:
    if answer is not None:
        try_again(upload, answer)
        return
    uploads.forget_parts(session, plan.part_ids)
    release(upload, utc_now())


def _give_up(_: Session, upload: Upload) -> None:
    log.error("the bytes of an upload cannot be removed", row=upload.id)
    release(upload, None)


close = Step(Upload, _plan, _call, _record, _give_up)

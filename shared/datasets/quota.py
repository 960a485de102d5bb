"""Limits how many files and bytes a project may keep, and how many uploads it may have pending.

Exact, since counted under a lock, but for bytes that workers fetch from addresses: they are known only when they are
stored, and several may be fetched at once.
"""

from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from shared.datasets.models import ProjectStorage, Upload, UploadStatus
from shared.db.quotas import one_at_a_time
from shared.db.times import utc_now
from shared.errors import QuotaExceeded
from shared.projects.quotas import quotas_in_force

_DELETE = "delete files that are no longer needed (DELETE /v1/files/{file_id}), or give new ones an expires_after"


@dataclass(frozen=True, slots=True)
class Kept:
    """What a project has. `bytes` are those of its files and those that its pending uploads were created for."""

    files: int
    bytes: int
    pending_uploads: int


def kept(session: Session, project_id: str) -> Kept:
    """Read what is committed: of files a trigger keeps the sums."""
    files = select(ProjectStorage.files, ProjectStorage.bytes).where(ProjectStorage.project_id == project_id)
    uploads = select(func.count(), func.coalesce(func.sum(Upload.bytes), 0))
    is_pending = Upload.status == UploadStatus.PENDING, col(Upload.expires_at) > utc_now()
    number, stored = session.exec(files).one_or_none() or (0, 0)
    pending, reserved = session.exec(uploads.where(Upload.project_id == project_id, *is_pending)).one()
    return Kept(number, stored + int(reserved), pending)


def check_files(session: Session, project_id: str, bytes: int, files: int = 1, *, lock: bool = True) -> None:
    """Raises `QuotaExceeded` if the project may not have these files as well, with what this transaction has added.

    `lock`: until the transaction ends, no other one of the project is checked. Take it after all locks on rows.
    """
    quotas = quotas_in_force(session, project_id)
    if (quotas.files, quotas.file_bytes) == (None, None):
        return
    if lock:
        one_at_a_time(session, "files", project_id)
    found = kept(session, project_id)
    if quotas.files is not None and found.files + files > quotas.files:
        raise QuotaExceeded("files", found.files, quotas.files, _DELETE)
    _check_bytes(found, bytes, quotas.file_bytes)


def _check_bytes(found: Kept, bytes: int, limit: int | None) -> None:
    if limit is not None and found.bytes + bytes > limit:
        raise QuotaExceeded("file_bytes", found.bytes, limit, f"these are {bytes} more; {_DELETE}")


def check_upload(session: Session, project_id: str, bytes: int) -> None:
    """Raises `QuotaExceeded` if the project may not begin another upload, of so many bytes, which it then reserves."""
    quotas = quotas_in_force(session, project_id)
    one_at_a_time(session, "files", project_id)
    found = kept(session, project_id)
    if quotas.pending_uploads is not None and found.pending_uploads >= quotas.pending_uploads:
        advice = "complete one or cancel it (POST /v1/uploads/{upload_id}/cancel)"
        raise QuotaExceeded("pending_uploads", found.pending_uploads, quotas.pending_uploads, advice)
    _check_bytes(found, bytes, quotas.file_bytes)


def bytes_left(session: Session, project_id: str) -> int | None:
    """Return how many bytes the project may still add; None if it may add any number."""
    limit = quotas_in_force(session, project_id).file_bytes
    return None if limit is None else max(0, limit - kept(session, project_id).bytes)

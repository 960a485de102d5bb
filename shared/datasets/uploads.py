"""Receives files in parts, which may arrive in any order and concurrently, and joins them to a dataset at the end."""

from hashlib import md5 as new_md5
from hashlib import sha256 as new_sha256

from sqlmodel import Session, col, delete, func, select

from shared.datasets import quota
from shared.datasets import service as datasets
from shared.datasets.models import Dataset, Purpose, Upload, UploadPart, UploadStatus
from shared.datasets.schemas import MAX_PARTS_PER_UPLOAD, ExpiresAfter, UploadComplete, UploadCreate, UploadPublic
from shared.datasets.storage import store
from shared.db.claims import make_due
from shared.db.ids import new_id
from shared.db.owned import get_owned, list_owned
from shared.db.times import utc_now
from shared.errors import Invalid
from shared.settings import get_settings

HASH_BUFFER_BYTES = 1 << 20


def create(session: Session, project_id: str, new: UploadCreate) -> Upload:
    """Create an upload, which accepts parts until it expires.

    Raises `Invalid` for more than `max_upload_bytes`, and `QuotaExceeded`.
    """
    settings = get_settings()
    if new.bytes > settings.max_upload_bytes:
        raise Invalid(
            f"An upload may have at most {settings.max_upload_bytes} bytes, not {new.bytes}",
            code="file_too_large",
            param="bytes",
        )
    quota.check_upload(session, project_id, new.bytes)
    expires_at = utc_now() + settings.upload_lifetime
    upload = Upload(
        project_id=project_id,
        filename=datasets.clean_filename(new.filename, param="filename"),
        bytes=new.bytes,
        purpose=Purpose(new.purpose),
        file_seconds=new.expires_after.seconds if new.expires_after else None,
        expires_at=expires_at,
        due_at=expires_at,
        enqueued_at=None,
    )
    session.add(upload)
    return upload


def new_part_id() -> str:
    return new_id(UploadPart.id_prefix)


def get_pending(session: Session, project_id: str, upload_id: str, *, lock: bool = False) -> Upload:
    """Return an upload that accepts parts. Raises `NotFound`, or `Invalid` if it is completed, cancelled or expired."""
    upload = get_owned(session, Upload, upload_id, project_id, lock=lock)
    if (status := status_of(upload)) is not UploadStatus.PENDING:
        raise Invalid(
            f"{upload_id} is {status} and can no longer be changed: create another upload",
            code="upload_not_pending",
            param="id",
        )
    return upload


def is_overdue(upload: Upload) -> bool:
    return upload.status is UploadStatus.PENDING and upload.expires_at <= utc_now()


def status_of(upload: Upload) -> UploadStatus:
    """Return its status now: `expired` from `expires_at` on, even before the worker has recorded that."""
    return UploadStatus.EXPIRED if is_overdue(upload) else upload.status


def show(session: Session, upload: Upload) -> UploadPublic:
    return UploadPublic.of(upload, status_of(upload), dataset_of(session, upload))


def list_parts(session: Session, project_id: str, upload_id: str, *, after: str | None, limit: int) -> list[UploadPart]:
    """Return up to `limit` + 1 received parts, the oldest first. Raises `NotFound`."""
    upload = get_owned(session, Upload, upload_id, project_id)
    is_of_upload = UploadPart.upload_id == upload.id
    return list_owned(session, UploadPart, project_id, is_of_upload, after=after, limit=limit, ascending=True)


def add_part(session: Session, project_id: str, part: UploadPart) -> UploadPart:
    """Add a part whose bytes are stored, and return it; if a part with the same bytes exists, return that one instead.

    The SDK sends a part again when it gets no answer, so equal bytes are a repetition and not counted twice. A file
    that contains the same bytes twice names the one part twice.

    The lock on the upload makes concurrent parts be counted one after the other; their bytes are received without it.
    So the upload may have ended meanwhile, and its status is checked again. Raises `Invalid` if it has ended, for more
    bytes than declared, and for too many parts.
    """
    upload = get_pending(session, project_id, part.upload_id, lock=True)
    is_of_upload = UploadPart.upload_id == upload.id
    same = select(UploadPart).where(is_of_upload, UploadPart.sha256 == part.sha256, UploadPart.bytes == part.bytes)
    if known := session.exec(same).first():
        return known
    totals = select(func.count(), func.coalesce(func.sum(UploadPart.bytes), 0)).where(is_of_upload)
    count, received = session.exec(totals).one()
    _check_fits(upload, part, count, int(received))
    session.add(part)
    return part


def _check_fits(upload: Upload, part: UploadPart, count: int, received: int) -> None:
    if received + part.bytes > upload.bytes:
        raise Invalid(
            f"This part has {part.bytes} bytes, but only {upload.bytes - received} are left: the upload was created "
            f"for {upload.bytes} bytes, and {received} have been received. GET /v1/uploads/{upload.id}/parts lists the "
            "received parts; if one of them is wrong, create another upload",
            code="size_mismatch",
            param="data",
        )
    if count >= MAX_PARTS_PER_UPLOAD:
        raise Invalid(
            f"An upload may have {MAX_PARTS_PER_UPLOAD} parts: create another one, and send larger parts", param="data"
        )


def parts_in_order(session: Session, upload: Upload, part_ids: list[str]) -> list[UploadPart]:
    """Return the named parts in this order. Raises `Invalid` if they are not the whole file.

    A part may be named more than once, for a file that contains the same bytes twice. Then every received part must be
    named: otherwise one was probably repeated by mistake instead of another of the same size.
    """
    parts = {part.id: part for part in session.exec(select(UploadPart).where(UploadPart.upload_id == upload.id))}
    for position, part_id in enumerate(part_ids):
        if part_id not in parts:
            raise Invalid(f"part_ids[{position}] is not a part of {upload.id}", param="part_ids")
    unnamed = parts.keys() - part_ids
    if unnamed and len(set(part_ids)) < len(part_ids):
        raise Invalid(
            f"part_ids names a part twice and leaves out {min(unnamed)}, which was received too", param="part_ids"
        )
    received = sum(parts[part_id].bytes for part_id in part_ids)
    if received != upload.bytes:
        raise Invalid(
            f"The named parts have {received} bytes together, but the upload was created for {upload.bytes}",
            code="size_mismatch",
            param="part_ids",
        )
    return [parts[part_id] for part_id in part_ids]


def assemble(upload: Upload, parts: list[UploadPart], md5: str | None) -> Dataset:
    """Hash the parts, join them to a dataset, and return its row, not yet added. Reading takes about 1 s per GB.

    A single part was hashed when it was received, so it is read only to verify an MD5. Raises
    `Invalid` if that differs.
    """
    is_hashed = len(parts) == 1 and md5 is None
    dataset = Dataset(
        project_id=upload.project_id,
        filename=upload.filename,
        bytes=upload.bytes,
        sha256=parts[0].sha256 if is_hashed else _digest([part.id for part in parts], md5),
        purpose=upload.purpose,
    )
    store.join(dataset.id, (part.id for part in parts))
    return dataset


def _digest(part_ids: list[str], md5: str | None) -> str:
    sha256, other = new_sha256(), new_md5(usedforsecurity=False)
    buffer = memoryview(bytearray(HASH_BUFFER_BYTES))
    with store.open_parts(part_ids) as file:
        while received := file.readinto(buffer):  # type: ignore[attr-defined]  # BinaryIO does not declare it
            sha256.update(buffer[:received])
            if md5 is not None:
                other.update(buffer[:received])
    if md5 is not None and md5.lower() != other.hexdigest():
        raise Invalid(
            f"The MD5 of the parts in this order is {other.hexdigest()}, not the given {md5}: check their order",
            code="md5_mismatch",
            param="md5",
        )
    return sha256.hexdigest()


def find_completed(session: Session, project_id: str, upload_id: str, order: UploadComplete) -> Upload | None:
    """Return the upload if it was completed with the same parts, so that a repeated request gets the same answer."""
    upload = get_owned(session, Upload, upload_id, project_id, lock=True)
    is_same = upload.status is UploadStatus.COMPLETED and upload.part_ids == order.part_ids
    return upload if is_same else None


def complete(session: Session, project_id: str, upload_id: str, order: UploadComplete, dataset: Dataset) -> Upload:
    """Add the dataset, whose check begins, and record that the upload is completed. Raises as `get_pending`."""
    upload = get_pending(session, project_id, upload_id, lock=True)
    expires_after = (
        ExpiresAfter(anchor="created_at", seconds=upload.file_seconds) if upload.file_seconds is not None else None
    )
    datasets.create(session, dataset, expires_after)
    session.flush()
    upload.status, upload.part_ids, upload.dataset_id = UploadStatus.COMPLETED, order.part_ids, dataset.id
    make_due(session, upload)
    return upload


def dataset_of(session: Session, upload: Upload) -> Dataset | None:
    """Return the dataset made of the upload; None if there is none or it was deleted."""
    dataset = session.get(Dataset, upload.dataset_id) if upload.dataset_id is not None else None
    return dataset if dataset is not None and dataset.deleted_at is None else None


def cancel(session: Session, project_id: str, upload_id: str) -> Upload:
    """Cancel an upload; again has no effect. Raises `Invalid` if it was completed or has expired."""
    upload = get_owned(session, Upload, upload_id, project_id, lock=True)
    if upload.status is not UploadStatus.CANCELLED:
        upload = get_pending(session, project_id, upload_id, lock=True)
        upload.status = UploadStatus.CANCELLED
        make_due(session, upload)
    return upload


def unused_parts(session: Session, upload: Upload) -> list[str]:
    """Return the ids of the parts of an ended upload that no dataset contains."""
    used = upload.part_ids or []
    parts = session.exec(select(UploadPart.id).where(UploadPart.upload_id == upload.id))
    return sorted(set(parts) - set(used))


def forget_parts(session: Session, part_ids: list[str]) -> None:
    """Delete the rows of parts whose bytes have been removed."""
    session.exec(delete(UploadPart).where(col(UploadPart.id).in_(part_ids)))


def known_ids(session: Session, ids: list[str]) -> set[str]:
    """Return those of the ids of datasets and parts that have a row."""
    found: set[str] = set()
    for model in (Dataset, UploadPart):
        found |= set(session.exec(select(model.id).where(col(model.id).in_(ids))))
    return found

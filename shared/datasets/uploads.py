"""Uploads: a file that is sent in parts, in any order and at once, and put together at the end."""

from hashlib import md5 as new_md5
from hashlib import sha256 as new_sha256

from sqlmodel import Session, col, delete, select

from shared.datasets import service as datasets
from shared.datasets import storage
from shared.datasets.models import Dataset, Purpose, Upload, UploadPart, UploadStatus
from shared.datasets.schemas import ExpiresAfter, UploadComplete, UploadCreate
from shared.errors import Invalid
from shared.ids import new_id
from shared.settings import get_settings
from shared.tables import get_owned, make_due, utc_now

READ_BYTES = 1 << 20


def create(session: Session, project_id: str, new: UploadCreate) -> Upload:
    """An upload that takes parts until it expires. Raises `Invalid` for more bytes than may be sent."""
    settings = get_settings()
    if new.bytes > settings.max_upload_bytes:
        raise Invalid(
            f"An upload may have {settings.max_upload_bytes} bytes, not {new.bytes}",
            code="file_too_large",
            param="bytes",
        )
    expires_at = utc_now() + settings.upload_lifetime
    upload = Upload(
        project_id=project_id,
        filename=datasets.clean_filename(new.filename, param="filename"),
        bytes=new.bytes,
        purpose=Purpose(new.purpose),
        file_seconds=new.expires_after.seconds if new.expires_after else None,
        expires_at=expires_at,
        due_at=expires_at,
        rung_at=None,
    )
    session.add(upload)
    return upload


def new_part_id() -> str:
    return new_id(UploadPart.id_prefix)


def get_pending(session: Session, project_id: str, upload_id: str, *, lock: bool = False) -> Upload:
    """An upload that still takes parts. Raises `NotFound`, and `Invalid` if it is over."""
    upload = get_owned(session, Upload, upload_id, project_id, lock=lock)
    status = UploadStatus.EXPIRED if is_overdue(upload) else upload.status
    if status is not UploadStatus.PENDING:
        raise Invalid(
            f"{upload_id} is {status} and cannot be changed any more: create another upload",
            code="upload_not_pending",
            param="id",
        )
    return upload


def is_overdue(upload: Upload) -> bool:
    return upload.status is UploadStatus.PENDING and upload.expires_at <= utc_now()


def add_part(session: Session, project_id: str, part: UploadPart) -> None:
    """Know a part whose bytes are stored. Asked again: the upload may have ended while they came in."""
    get_pending(session, project_id, part.upload_id, lock=True)
    session.add(part)


def parts_in_order(session: Session, upload: Upload, part_ids: list[str]) -> list[UploadPart]:
    """The parts that a file shall consist of. Raises `Invalid` if they cannot be all of it."""
    rows = session.exec(select(UploadPart).where(UploadPart.upload_id == upload.id, col(UploadPart.id).in_(part_ids)))
    parts = {part.id: part for part in rows}
    for position, part_id in enumerate(part_ids):
        if part_id not in parts:
            raise Invalid(f"part_ids[{position}] is no part of {upload.id}", param="part_ids")
    if len(parts) != len(part_ids):
        raise Invalid("part_ids names a part more than once", param="part_ids")
    received = sum(part.bytes for part in parts.values())
    if received != upload.bytes:
        raise Invalid(
            f"The parts have {received} bytes together, but {upload.bytes} were declared",
            code="size_mismatch",
            param="part_ids",
        )
    return [parts[part_id] for part_id in part_ids]


def assemble(upload: Upload, parts: list[UploadPart], md5: str | None) -> Dataset:
    """Hash all bytes, and let a dataset consist of them; its row is still to be written. Takes about 1 s per GB.

    Raises `Invalid` if the MD5 is another one. Bytes that were hashed on their way in are not read again.
    """
    is_hashed = len(parts) == 1 and md5 is None
    dataset = Dataset(
        project_id=upload.project_id,
        filename=upload.filename,
        bytes=upload.bytes,
        sha256=parts[0].sha256 if is_hashed else _digest([part.id for part in parts], md5),
        purpose=upload.purpose,
    )
    storage.join(dataset.id, (part.id for part in parts))
    return dataset


def _digest(part_ids: list[str], md5: str | None) -> str:
    sha256, other = new_sha256(), new_md5(usedforsecurity=False)
    buffer = memoryview(bytearray(READ_BYTES))
    with storage.open_parts(part_ids) as file:
        while received := file.readinto(buffer):  # type: ignore[attr-defined]  # BinaryIO does not tell of it
            sha256.update(buffer[:received])
            if md5 is not None:
                other.update(buffer[:received])
    if md5 is not None and md5.lower() != other.hexdigest():
        raise Invalid(
            f"The MD5 of the parts in this order is {other.hexdigest()}, not the one that was sent",
            code="md5_mismatch",
            param="md5",
        )
    return sha256.hexdigest()


def find_completed(session: Session, project_id: str, upload_id: str, order: UploadComplete) -> Upload | None:
    """The upload, if it has been completed with just these parts: who lost the answer may ask again."""
    upload = get_owned(session, Upload, upload_id, project_id, lock=True)
    is_same = upload.status is UploadStatus.COMPLETED and upload.part_ids == order.part_ids
    return upload if is_same else None


def complete(session: Session, project_id: str, upload_id: str, order: UploadComplete, dataset: Dataset) -> Upload:
    """Write down that the upload has become this dataset, whose check begins."""
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
    """What became of the upload, unless it has been deleted since."""
    dataset = session.get(Dataset, upload.dataset_id) if upload.dataset_id is not None else None
    return dataset if dataset is not None and dataset.deleted_at is None else None


def cancel(session: Session, project_id: str, upload_id: str) -> Upload:
    """End an upload. To repeat it changes nothing; one that has become a file cannot be cancelled."""
    upload = get_owned(session, Upload, upload_id, project_id, lock=True)
    if upload.status is not UploadStatus.CANCELLED:
        upload = get_pending(session, project_id, upload_id, lock=True)
        upload.status = UploadStatus.CANCELLED
        make_due(session, upload)
    return upload


def unused_parts(session: Session, upload: Upload) -> list[str]:
    """Parts that are in no dataset, of an upload that has ended."""
    used = upload.part_ids or []
    parts = session.exec(select(UploadPart.id).where(UploadPart.upload_id == upload.id))
    return sorted(set(parts) - set(used))


def forget_parts(session: Session, part_ids: list[str]) -> None:
    """Their bytes have been removed."""
    session.exec(delete(UploadPart).where(col(UploadPart.id).in_(part_ids)))


def known_ids(session: Session, ids: list[str]) -> set[str]:
    """Which of some ids of datasets and parts have a row."""
    found: set[str] = set()
    for model in (Dataset, UploadPart):
        found |= set(session.exec(select(model.id).where(col(model.id).in_(ids))))
    return found

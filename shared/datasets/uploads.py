"""Uploads: a file that is sent in parts, in any order and at once, and put together at the end."""

from hashlib import md5 as new_md5
from hashlib import sha256 as new_sha256

from sqlmodel import Session, col, delete, func, select

from shared.datasets import service as datasets
from shared.datasets.models import Dataset, Purpose, Upload, UploadPart, UploadStatus
from shared.datasets.schemas import MOST_PARTS, ExpiresAfter, UploadComplete, UploadCreate, UploadPublic
from shared.datasets.storage import store
from shared.db.claims import make_due
from shared.db.ids import new_id
from shared.db.owned import get_owned, list_owned
from shared.db.times import utc_now
from shared.errors import Invalid
from shared.settings import get_settings

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
        enqueued_at=None,
    )
    session.add(upload)
    return upload


def new_part_id() -> str:
    return new_id(UploadPart.id_prefix)


def get_pending(session: Session, project_id: str, upload_id: str, *, lock: bool = False) -> Upload:
    """An upload that still takes parts. Raises `NotFound`, and `Invalid` if it is over."""
    upload = get_owned(session, Upload, upload_id, project_id, lock=lock)
    if (status := status_of(upload)) is not UploadStatus.PENDING:
        raise Invalid(
            f"{upload_id} is {status} and cannot be changed any more: create another upload",
            code="upload_not_pending",
            param="id",
        )
    return upload


def is_overdue(upload: Upload) -> bool:
    return upload.status is UploadStatus.PENDING and upload.expires_at <= utc_now()


def status_of(upload: Upload) -> UploadStatus:
    """It has expired as soon as its time is over, although that is written down a moment later."""
    return UploadStatus.EXPIRED if is_overdue(upload) else upload.status


def show(session: Session, upload: Upload) -> UploadPublic:
    return UploadPublic.of(upload, status_of(upload), dataset_of(session, upload))


def list_parts(session: Session, project_id: str, upload_id: str, *, after: str | None, limit: int) -> list[UploadPart]:
    """One more than `limit` of the parts that are here, the oldest first. Raises `NotFound`."""
    upload = get_owned(session, Upload, upload_id, project_id)
    of_it = UploadPart.upload_id == upload.id
    return list_owned(session, UploadPart, project_id, of_it, after=after, limit=limit, ascending=True)


def add_part(session: Session, project_id: str, part: UploadPart) -> UploadPart:
    """Know a part whose bytes are stored; or the one that is here already, if it was sent before.

    Who lost the answer sends the same bytes again, as the SDK does by itself: that is no second part, and so it takes
    none of the declared bytes. A file that repeats itself names such a part as often as it needs it. Counted under the
    upload's lock, so that parts which end at once are counted one after the other, while their bytes come in together.
    The upload, too, is looked at again: it may have ended meanwhile. Raises `Invalid` for more than was declared.
    """
    upload = get_pending(session, project_id, part.upload_id, lock=True)
    here = UploadPart.upload_id == upload.id
    same = select(UploadPart).where(here, UploadPart.sha256 == part.sha256, UploadPart.bytes == part.bytes)
    if known := session.exec(same).first():
        return known
    count, received = session.exec(select(func.count(), func.coalesce(func.sum(UploadPart.bytes), 0)).where(here)).one()
    _check_room(upload, part, count, int(received))
    session.add(part)
    return part


def _check_room(upload: Upload, part: UploadPart, count: int, received: int) -> None:
    if received + part.bytes > upload.bytes:
        raise Invalid(
            f"This part has {part.bytes} bytes, but of the {upload.bytes} that were declared for the upload {received} "
            f"have been received: {upload.bytes - received} can still come. GET /v1/uploads/{upload.id}/parts lists "
            "the parts that are here; if one of them is wrong, create another upload",
            code="size_mismatch",
            param="data",
        )
    if count >= MOST_PARTS:
        raise Invalid(f"An upload may have {MOST_PARTS} parts: create another one, and send larger parts", param="data")


def parts_in_order(session: Session, upload: Upload, part_ids: list[str]) -> list[UploadPart]:
    """The parts that a file shall consist of. Raises `Invalid` if they cannot be all of it.

    A part may be named more than once, for a file that repeats itself, but not in the place of another that is here.
    """
    parts = {part.id: part for part in session.exec(select(UploadPart).where(UploadPart.upload_id == upload.id))}
    for position, part_id in enumerate(part_ids):
        if part_id not in parts:
            raise Invalid(f"part_ids[{position}] is no part of {upload.id}", param="part_ids")
    unnamed = parts.keys() - part_ids
    if unnamed and len(set(part_ids)) < len(part_ids):
        raise Invalid(
            f"part_ids names a part more than once, but not {min(unnamed)}, which is here too", param="part_ids"
        )
    received = sum(parts[part_id].bytes for part_id in part_ids)
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
    store.join(dataset.id, (part.id for part in parts))
    return dataset


def _digest(part_ids: list[str], md5: str | None) -> str:
    sha256, other = new_sha256(), new_md5(usedforsecurity=False)
    buffer = memoryview(bytearray(READ_BYTES))
    with store.open_parts(part_ids) as file:
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

"""Datasets: taken in, checked, found again, deleted; and their copies at providers."""

from datetime import datetime, timedelta

from sqlalchemy import delete as sql_delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from shared.datasets import reports
from shared.datasets.models import Dataset, DatasetStatus, ProviderFile, ProviderFileStatus, Purpose
from shared.datasets.schemas import ExpiresAfter
from shared.datasets.validation.findings.report import Report
from shared.db.claims import make_due, release
from shared.db.ids import new_id
from shared.db.owned import get_owned
from shared.db.times import utc_now
from shared.errors import Invalid
from shared.settings import get_settings

FILENAME_LENGTH = 255


def new_dataset_id() -> str:
    return new_id(Dataset.id_prefix)


def clean_filename(name: str, param: str = "file") -> str:
    """The name as a label, never as a path: NUL is refused, folders are dropped, the length is bounded."""
    label = name.replace("\\", "/").rsplit("/", 1)[-1].strip()
    if not label or not label.isprintable():
        raise Invalid("The file needs a name of printable characters", param=param)
    if len(label) > FILENAME_LENGTH:
        raise Invalid(f"The file's name is longer than {FILENAME_LENGTH} characters", param=param)
    return label


def create(session: Session, dataset: Dataset, expires_after: ExpiresAfter | None) -> Dataset:
    """Take a dataset in whose bytes are stored. `fine-tune` files are checked by the next step, others need none."""
    if expires_after is not None:
        dataset.expires_at = dataset.created_at + timedelta(seconds=expires_after.seconds)
    session.add(dataset)
    if dataset.purpose is Purpose.FINE_TUNE:
        make_due(session, dataset)
    else:
        dataset.status = DatasetStatus.PROCESSED
        release(dataset, dataset.expires_at)
    return dataset


def record_check(dataset: Dataset, report: Report) -> None:
    if report.valid:
        dataset.status, dataset.examples = DatasetStatus.PROCESSED, report.examples
        release(dataset, dataset.expires_at)
    else:
        code, sentence = report.error_code or "", report.sentence() or ""
        record_error(dataset, code, sentence if code == "invalid_n_examples" else f"Invalid file format. {sentence}")


def record_error(dataset: Dataset, code: str, message: str) -> None:
    dataset.status, dataset.error_code, dataset.status_details = DatasetStatus.ERROR, code, message
    release(dataset, dataset.expires_at)


def split_off(whole: Dataset) -> SelectOfScalar[Dataset]:
    """The datasets that are parts of this one."""
    of_it = col(Dataset.source).contains({"split_of": whole.id})
    return select(Dataset).where(Dataset.project_id == whole.project_id, of_it)


def wake_parts(session: Session, whole: Dataset) -> None:
    """Let the datasets that are split off this one be made now."""
    for part in session.exec(split_off(whole).order_by(Dataset.id).with_for_update(key_share=True)):
        make_due(session, part)


def delete(session: Session, dataset: Dataset) -> None:
    """From now on it is not found. Its bytes and its copies at providers are removed by its next step."""
    dataset.deleted_at = utc_now()
    make_due(session, dataset)


def get_for_training(session: Session, project_id: str, dataset_id: str, param: str) -> Dataset:
    """A dataset that a job may name; one still to be checked will do."""
    dataset = get_owned(session, Dataset, dataset_id, project_id, param=param, lock=True)
    if dataset.purpose is not Purpose.FINE_TUNE:
        raise Invalid(
            f"{dataset_id} was uploaded with purpose {dataset.purpose}: upload it with purpose fine-tune", param=param
        )
    if not is_fit(session, dataset, param):
        listed = reports.of_dataset(session, dataset_id) is not None
        more = f" GET /v1/datasets/{dataset_id}/errors lists them all." if listed else ""
        raise Invalid(f"{dataset.status_details}{more}", code=dataset.error_code, param=param)
    return dataset


def is_fit(session: Session, dataset: Dataset, param: str) -> bool:
    """Whether a job may name a checked dataset so; `training_file` or `validation_file`.

    Only training needs ten examples: a file in which nothing but some of these are missing can be validated on.
    """
    if dataset.status is not DatasetStatus.ERROR:
        return True
    if param != "validation_file" or dataset.error_code != "invalid_n_examples":
        return False
    report = reports.of_dataset(session, dataset.id)
    return report is not None and report.examples > 0


def provider_file(session: Session, dataset: Dataset, credential_id: str) -> ProviderFile:
    """The dataset's copy at this credential's provider; made due where it is missing or about to expire.

    An existing row is read without a lock: whoever records an upload wakes jobs, and must not wait for one that waits.
    """
    query = select(ProviderFile).where(
        ProviderFile.dataset_id == dataset.id, ProviderFile.credential_id == credential_id
    )
    file = session.exec(query).one_or_none()
    if file is None:
        new = ProviderFile(project_id=dataset.project_id, dataset_id=dataset.id, credential_id=credential_id)
        session.exec(insert(ProviderFile).values(**new.model_dump()).on_conflict_do_nothing())
        file = session.exec(query).one()
        make_due(session, file)
    elif file.expires_at is not None and file.expires_at < utc_now() + _margin():
        file = session.exec(query.with_for_update()).one()
        file.status, file.provider_file_id, file.expires_at = ProviderFileStatus.PENDING, None, None
        make_due(session, file)
    return file


def _margin() -> timedelta:
    """How long a copy must still live to be worth naming in a job."""
    return min(timedelta(days=1), get_settings().provider.file_expiry / 2)


def forget_refusal(session: Session, dataset_id: str, credential_id: str) -> None:
    """A new job gives a file that the provider refused another try."""
    session.exec(
        sql_delete(ProviderFile).where(
            col(ProviderFile.dataset_id) == dataset_id,
            col(ProviderFile.credential_id) == credential_id,
            col(ProviderFile.status) == ProviderFileStatus.FAILED,
        )
    )


def record_upload(file: ProviderFile, provider_file_id: str, expires_at: datetime | None) -> None:
    file.status, file.provider_file_id, file.expires_at = ProviderFileStatus.UPLOADED, provider_file_id, expires_at
    file.error_code = file.error_message = None
    forget_parts(file)
    release(file, None)


def record_refusal(file: ProviderFile, code: str, message: str) -> None:
    file.status, file.error_code, file.error_message = ProviderFileStatus.FAILED, code, message
    forget_parts(file)
    release(file, None)


def forget_parts(file: ProviderFile) -> None:
    file.provider_upload_id, file.part_ids, file.upload_pending_at = None, [], None


def provider_files(session: Session, dataset_id: str) -> list[ProviderFile]:
    query = select(ProviderFile).where(ProviderFile.dataset_id == dataset_id)
    return list(session.exec(query.where(col(ProviderFile.provider_file_id).is_not(None))))


def forget_copies(session: Session, dataset_id: str) -> None:
    """The copies of a deleted dataset have been removed at their providers."""
    session.exec(sql_delete(ProviderFile).where(col(ProviderFile.dataset_id) == dataset_id))

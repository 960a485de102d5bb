"""Creates and deletes datasets, records their checks, and keeps account of their files at providers."""

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
from shared.db.row_security import across_projects
from shared.db.times import utc_now
from shared.errors import Invalid
from shared.settings import get_settings

MAX_FILENAME_CHARACTERS = 255


def new_dataset_id() -> str:
    return new_id(Dataset.id_prefix)


def clean_filename(name: str, param: str = "file") -> str:
    """Return the last component of a name. It is only shown, never used as a path.

    Raises `Invalid` if it is empty, has unprintable characters (NUL too) or has more than 255 characters.
    """
    label = name.replace("\\", "/").rsplit("/", 1)[-1].strip()
    if not label or not label.isprintable():
        raise Invalid("The file needs a name of printable characters", param=param)
    if len(label) > MAX_FILENAME_CHARACTERS:
        raise Invalid(f"The file's name is longer than {MAX_FILENAME_CHARACTERS} characters", param=param)
    return label


def create(session: Session, dataset: Dataset, expires_after: ExpiresAfter | None) -> Dataset:
    """Add a dataset. The worker checks it if its purpose is `fine-tune`; with another purpose it is ready at once."""
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
    """Return a query for the datasets that are parts of this one, deleted ones too."""
    return select(Dataset).where(Dataset.project_id == whole.project_id, Dataset.split_of == whole.id)


def wake_parts(session: Session, whole: Dataset) -> None:
    """Make the parts of this dataset due now. They are locked in order of id, so that two calls cannot deadlock."""
    for part in session.exec(split_off(whole).order_by(Dataset.id).with_for_update(key_share=True)):
        make_due(session, part)


def delete(session: Session, dataset: Dataset) -> None:
    """Hide a dataset from now on. The worker then removes its bytes and its files at providers."""
    dataset.deleted_at = utc_now()
    make_due(session, dataset)


def get_for_training(session: Session, project_id: str, dataset_id: str, param: str) -> Dataset:
    """Return and lock a dataset that a job may use; its check may still be running.

    Raises `NotFound`; raises `Invalid` for another purpose, and with the check's code if the check has failed.
    """
    dataset = get_owned(session, Dataset, dataset_id, project_id, param=param, lock=True)
    if dataset.purpose is not Purpose.FINE_TUNE:
        raise Invalid(
            f"{dataset_id} was uploaded with purpose {dataset.purpose}: upload it with purpose fine-tune", param=param
        )
    if not is_usable_as(session, dataset, param):
        listed = reports.of_dataset(session, dataset_id) is not None
        more = f" GET /v1/datasets/{dataset_id}/errors lists them all." if listed else ""
        raise Invalid(f"{dataset.status_details}{more}", code=dataset.error_code, param=param)
    return dataset


def is_usable_as(session: Session, dataset: Dataset, param: str) -> bool:
    """Whether a job may name the dataset as `param`: `training_file` or `validation_file`.

    Only a training file needs ten examples. A file whose only error is that it has fewer can be a validation file.
    """
    if dataset.status is not DatasetStatus.ERROR:
        return True
    if param != "validation_file" or dataset.error_code != "invalid_n_examples":
        return False
    report = reports.of_dataset(session, dataset.id)
    return report is not None and report.examples > 0


def provider_file(session: Session, dataset: Dataset, credential_id: str) -> ProviderFile:
    """Return the dataset's file at this credential's provider; if it is missing or expires soon, make its upload due.

    An existing row is read without a lock. The transaction that records an upload locks this row and then the jobs that
    wait for it; a job's transaction that locked this row as well would deadlock with it.
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
    elif file.expires_at is not None and file.expires_at < utc_now() + _min_remaining_lifetime():
        file = session.exec(query.with_for_update()).one()
        file.status, file.provider_file_id, file.expires_at = ProviderFileStatus.PENDING, None, None
        make_due(session, file)
    return file


def locked_provider_file(session: Session, dataset_id: str, credential_id: str) -> ProviderFile:
    """Return and lock the dataset's file at this credential's provider, as it is now."""
    query = select(ProviderFile).where(
        ProviderFile.dataset_id == dataset_id, ProviderFile.credential_id == credential_id
    )
    return session.exec(query.with_for_update(), execution_options={"populate_existing": True}).one()


def _min_remaining_lifetime() -> timedelta:
    """How long a provider file must still exist to be named in a new job."""
    return min(timedelta(days=1), get_settings().provider.file_expiry / 2)


def forget_refusal(session: Session, dataset_id: str, credential_id: str) -> None:
    """Delete the record that a provider refused this file, so that a new job uploads it again."""
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


def is_shared(session: Session, file: ProviderFile) -> bool:
    """Whether a dataset that is not deleted has the same file at the provider: some keep the same content once.

    The other dataset may be another project's, if both use the deployment's account.
    """
    others = (
        select(ProviderFile.id)
        .join(Dataset, col(Dataset.id) == ProviderFile.dataset_id)
        .where(
            ProviderFile.credential_id == file.credential_id,
            ProviderFile.provider_file_id == file.provider_file_id,
            ProviderFile.dataset_id != file.dataset_id,
            col(Dataset.deleted_at).is_(None),
        )
    )
    with across_projects(session):
        return session.exec(others.limit(1)).first() is not None


def delete_provider_files(session: Session, dataset_id: str) -> None:
    """Delete the rows of a dataset's provider files, after they were removed at the providers."""
    session.exec(sql_delete(ProviderFile).where(col(ProviderFile.dataset_id) == dataset_id))

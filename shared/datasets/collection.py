"""Creates, lists and shows the datasets of `/v1/datasets`: from a file, from examples, from a URL, or by a split."""

from itertools import islice
from typing import Any

import msgspec
from sqlmodel import Session, col, or_

from shared.datasets import quota, reports
from shared.datasets import service as datasets
from shared.datasets.models import Dataset, DatasetStatus, Purpose
from shared.datasets.sources import Split, SplitSource, UrlSource
from shared.datasets.storage import store
from shared.datasets.storage.store import Stored
from shared.datasets.validation.findings.codes import Severity
from shared.datasets.validation.findings.report import Report
from shared.datasets.views import DatasetCreate, DatasetPublic, ProblemPublic
from shared.db.claims import make_due
from shared.db.owned import get_owned, list_owned
from shared.errors import Invalid, NotFound
from shared.security.ssrf import check_url


def store_examples(examples: list[dict[str, Any]]) -> Stored:
    """Store examples as JSON Lines. Called before the row is written, so that no row refers to missing bytes."""
    return store.store(datasets.new_dataset_id(), (msgspec.json.encode(example) + b"\n" for example in examples))


def create(session: Session, project_id: str, new: DatasetCreate, written: Stored | None) -> Dataset:
    """Create the dataset that `new` describes; with `split`, also its two parts, which the worker fills later.

    `written` are the stored `new.examples`, if any. Raises `NotFound` for an unknown `file_id`, and `Invalid` for a
    file with another purpose, a URL that may not be called, or a split that cannot work. Raises `QuotaExceeded`.
    """
    if new.file_id is not None:
        if new.split is not None:
            datasets.get_for_training(session, project_id, new.file_id, "file_id")
        dataset = get_owned(session, Dataset, new.file_id, project_id, param="file_id", lock=True)
        if dataset.purpose is not Purpose.FINE_TUNE:
            raise Invalid(f"{new.file_id} was uploaded with purpose {dataset.purpose}, not fine-tune", param="file_id")
        dataset.name, dataset.labels = new.name or dataset.name, new.metadata or dataset.labels
        make_due(session, dataset)  # a worker that found the row locked by this transaction has skipped it
    else:
        dataset = _new(session, project_id, new, written)
    if new.split is not None:
        examples = len(new.examples) if new.examples else dataset.examples
        _add_parts(session, dataset, new.split, examples, is_new=new.file_id is None)
    return dataset


def _new(session: Session, project_id: str, new: DatasetCreate, written: Stored | None) -> Dataset:
    if new.url is not None:
        check_url(new.url)
    dataset = Dataset(
        id=written.id if written else datasets.new_dataset_id(),
        project_id=project_id,
        name=new.name,
        labels=new.metadata,
        source=UrlSource(url=new.url).model_dump() if new.url is not None else None,
        filename=datasets.clean_filename(f"{new.name or 'dataset'}.jsonl", param="name"),
        bytes=written.bytes if written else 0,
        sha256=written.sha256 if written else "",
        purpose=Purpose.FINE_TUNE,
    )
    quota.check_files(session, project_id, dataset.bytes)
    return datasets.create(session, dataset, None)


def _add_parts(session: Session, whole: Dataset, split: Split, examples: int | None, *, is_new: bool) -> None:
    """Create the two parts. `examples`: how many `whole` has; None before its check has counted them."""
    session.flush()
    # What this transaction has added is not counted yet: `whole` too, unless it was uploaded before.
    added = 1 if is_new else 0
    quota.check_files(session, whole.project_id, whole.bytes * (1 + added), files=2 + added)
    stem = whole.filename.removesuffix(".jsonl")[:200]
    for part in ("training", "validation"):
        source = SplitSource.model_validate({"split_of": whole.id, "part": part, **split.model_dump()})
        if examples is not None:
            source.validation_examples(examples)
        dataset = Dataset(
            project_id=whole.project_id,
            name=f"{whole.name} ({part})" if whole.name else None,
            source=source.model_dump(),
            filename=f"{stem}.{part}.jsonl",
            bytes=0,
            sha256="",
            purpose=Purpose.FINE_TUNE,
        )
        session.add(dataset)
        make_due(session, dataset)


def list_datasets(
    session: Session,
    project_id: str,
    *,
    status: DatasetStatus | None = None,
    name: str | None = None,
    after: str | None,
    limit: int,
) -> list[DatasetPublic]:
    """Return up to `limit` + 1 datasets, newest first, with their reports. The extra one means: there is more.

    `name`: a part of the name of the dataset or of its file, in any case.
    """
    where: list[Any] = [Dataset.purpose == Purpose.FINE_TUNE]
    if status is not None:
        where.append(Dataset.status == status)
    if name is not None:
        columns = (col(Dataset.name), col(Dataset.filename))
        where.append(or_(*(column.icontains(name, autoescape=True) for column in columns)))
    rows = list_owned(session, Dataset, project_id, *where, after=after, limit=limit)
    reports_by_id = reports.of_datasets(session, [row.id for row in rows])
    return [DatasetPublic.of(row, reports_by_id.get(row.id)) for row in rows]


def get_dataset(session: Session, project_id: str, dataset_id: str, param: str = "id") -> Dataset:
    dataset = get_owned(session, Dataset, dataset_id, project_id, param=param)
    if dataset.purpose is not Purpose.FINE_TUNE:
        raise NotFound(f"No such dataset: {dataset_id}: the file's purpose is {dataset.purpose}", param=param)
    return dataset


def show(session: Session, dataset: Dataset) -> DatasetPublic:
    """Return one dataset in full, with its statistics and the ids of its parts."""
    report = reports.of_dataset(session, dataset.id)
    public = DatasetPublic.of(dataset, report, msgspec.to_builtins(report.statistics) if report else None)
    for part in parts(session, dataset):
        if part.source is not None and part.source["part"] == "training":
            public.training_dataset = part.id
        else:
            public.validation_dataset = part.id
    return public


def parts(session: Session, whole: Dataset) -> list[Dataset]:
    """Return the parts of the newest split, training first; parts that were deleted are left out."""
    existing = datasets.split_off(whole).where(col(Dataset.deleted_at).is_(None))
    return list(session.exec(existing.order_by(col(Dataset.id).desc()).limit(2)))[::-1]


def list_problems(
    session: Session, dataset: Dataset, *, code: str | None, severity: str | None, after: str | None, limit: int
) -> list[ProblemPublic]:
    """Return up to `limit` + 1 of the first 1,000 problems, in the order of the file. Raises `NotFound` for `after`."""
    numbered = [ProblemPublic.of(number, each) for number, each in enumerate(reports.problems(session, dataset.id))]
    ids = [problem.id for problem in numbered]
    if after is not None and after not in ids:
        raise NotFound(f"No such problem: {after}", param="after")
    later = numbered[ids.index(after) + 1 :] if after is not None else numbered
    wanted = (each for each in later if code in {None, each.code} and severity in {None, each.severity})
    return list(islice(wanted, limit + 1))


def wrong_lines(session: Session, dataset: Dataset) -> set[int]:
    """Return the numbers of the lines that have an error. Raises `Invalid` if the check has not kept all of them."""
    report = get_report(session, dataset)
    wrong = [each for each in reports.problems(session, dataset.id) if each.severity is Severity.ERROR]
    if "check_stopped" in report.counts or len(wrong) < report.n_errors:
        sentence = f"{dataset.id} has more errors than are listed: correct its cause, and upload it again"
        raise Invalid(sentence, code="invalid_training_file")
    return {each.line for each in wrong if each.line is not None}


def get_report(session: Session, dataset: Dataset) -> Report:
    """Return the report of the check. Raises `Invalid` before the check has ended."""
    report = reports.of_dataset(session, dataset.id)
    if report is None or dataset.status is DatasetStatus.UPLOADED:
        raise Invalid(f"{dataset.id} is still being checked: try again in a moment", code="dataset_not_checked")
    return report

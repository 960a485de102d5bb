"""`/v1/datasets`: datasets made of uploaded files, of examples in a request, of an address, or of one another."""

from itertools import islice
from typing import Any

import msgspec
from sqlmodel import Session, col

from shared.datasets import reports
from shared.datasets import service as datasets
from shared.datasets.models import Dataset, DatasetStatus, Purpose
from shared.datasets.sources import Split, SplitSource, UrlSource
from shared.datasets.storage import store
from shared.datasets.storage.store import Stored
from shared.datasets.validation.findings.report import Report
from shared.datasets.views import DatasetCreate, DatasetPublic, ProblemPublic
from shared.db.claims import make_due
from shared.db.owned import get_owned, list_owned
from shared.errors import Invalid, NotFound
from shared.security.ssrf import check_url


def write(examples: list[dict[str, Any]]) -> Stored:
    """Store examples as JSON lines, before there is a row: a row never speaks of bytes that are not there."""
    return store.store(datasets.new_dataset_id(), (msgspec.json.encode(example) + b"\n" for example in examples))


def create(session: Session, project_id: str, new: DatasetCreate, written: Stored | None) -> Dataset:
    """A dataset from whatever `new` names; and with a split, the two that will be made of it.

    Raises `Invalid` for a split of which it is known already that nothing will come of it.
    """
    if new.file_id is not None:
        if new.split is not None:
            datasets.get_for_training(session, project_id, new.file_id, "file_id")
        dataset = get_owned(session, Dataset, new.file_id, project_id, param="file_id", lock=True)
        if dataset.purpose is not Purpose.FINE_TUNE:
            raise Invalid(f"{new.file_id} was uploaded with purpose {dataset.purpose}, not fine-tune", param="file_id")
        dataset.name, dataset.labels = new.name or dataset.name, new.metadata or dataset.labels
        make_due(session, dataset)  # a worker who came while it was locked here has gone away again
    else:
        dataset = _new(session, project_id, new, written)
    if new.split is not None:
        _add_parts(session, dataset, new.split, len(new.examples) if new.examples else dataset.examples)
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
        filename=datasets.clean_filename(f"{new.name or 'dataset'}.jsonl"),
        bytes=written.bytes if written else 0,
        sha256=written.sha256 if written else "",
        purpose=Purpose.FINE_TUNE,
    )
    return datasets.create(session, dataset, None)


def _add_parts(session: Session, whole: Dataset, split: Split, examples: int | None) -> None:
    """`examples` is how many the whole has, if that is known by now."""
    session.flush()
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


def list_datasets(session: Session, project_id: str, *, after: str | None, limit: int) -> list[DatasetPublic]:
    """One more than `limit`, newest first, each with what its check has said."""
    rows = list_owned(session, Dataset, project_id, Dataset.purpose == Purpose.FINE_TUNE, after=after, limit=limit)
    found = reports.of_datasets(session, [row.id for row in rows])
    return [DatasetPublic.of(row, found.get(row.id)) for row in rows]


def get_dataset(session: Session, project_id: str, dataset_id: str) -> Dataset:
    dataset = get_owned(session, Dataset, dataset_id, project_id)
    if dataset.purpose is not Purpose.FINE_TUNE:
        raise NotFound(f"No such dataset: {dataset_id}: the file's purpose is {dataset.purpose}", param="id")
    return dataset


def show(session: Session, dataset: Dataset) -> DatasetPublic:
    """One dataset whole, with its statistics and its parts."""
    report = reports.of_dataset(session, dataset.id)
    public = DatasetPublic.of(dataset, report, msgspec.to_builtins(report.statistics) if report else None)
    for part in parts(session, dataset):
        if part.source is not None and part.source["part"] == "training":
            public.training_dataset = part.id
        else:
            public.validation_dataset = part.id
    return public


def parts(session: Session, whole: Dataset) -> list[Dataset]:
    """The newest two that are split off it."""
    living = datasets.split_off(whole).where(col(Dataset.deleted_at).is_(None))
    return list(session.exec(living.order_by(col(Dataset.id).desc()).limit(2)))[::-1]


def list_problems(
    session: Session, dataset: Dataset, *, code: str | None, severity: str | None, after: str | None, limit: int
) -> list[ProblemPublic]:
    """One more than `limit` of the first 1,000 problems, in the order of the file."""
    numbered = [ProblemPublic.of(number, each) for number, each in enumerate(reports.problems(session, dataset.id))]
    ids = [problem.id for problem in numbered]
    if after is not None and after not in ids:
        raise NotFound(f"No such problem: {after}", param="after")
    later = numbered[ids.index(after) + 1 :] if after is not None else numbered
    wanted = (each for each in later if code in {None, each.code} and severity in {None, each.severity})
    return list(islice(wanted, limit + 1))


def checked(session: Session, dataset: Dataset) -> Report:
    """The report of a dataset whose check has ended. Raises `Invalid` before that."""
    report = reports.of_dataset(session, dataset.id)
    if report is None or dataset.status is DatasetStatus.UPLOADED:
        raise Invalid(f"{dataset.id} is still being checked: ask again in a moment", code="dataset_not_checked")
    return report

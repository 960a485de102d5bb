"""What the check of a dataset has said, kept: the report, and its problems page by page."""

from typing import Any, ClassVar

import msgspec
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, Session, col, select

from shared.datasets.models import Dataset
from shared.datasets.validation.report import Problem, Report
from shared.tables import JSONField, Owned


class DatasetReport(Owned, table=True):
    """The newest report of a dataset. Its problems stand apart, so that a look at the rest does not read them."""

    __tablename__ = "dataset_reports"
    id_prefix: ClassVar[str] = "report_"

    dataset_id: str = Field(foreign_key="datasets.id", unique=True)
    report: dict[str, Any] = JSONField()
    problems: list[dict[str, Any]] = JSONField()


def keep(session: Session, dataset: Dataset, report: Report) -> None:
    """Store the report in place of an earlier one."""
    summary = msgspec.to_builtins(msgspec.structs.replace(report, problems=[]))
    values = {"report": summary, "problems": msgspec.to_builtins(report.problems)}
    row = DatasetReport(project_id=dataset.project_id, dataset_id=dataset.id, **values)
    new = insert(DatasetReport).values(**row.model_dump())
    session.exec(new.on_conflict_do_update(index_elements=["dataset_id"], set_=values))


def of_dataset(session: Session, dataset_id: str) -> Report | None:
    """The report without its problems; None before the check has ended."""
    query = select(DatasetReport.report).where(DatasetReport.dataset_id == dataset_id)
    stored = session.exec(query).one_or_none()
    return None if stored is None else msgspec.convert(stored, Report)


def of_datasets(session: Session, dataset_ids: list[str]) -> dict[str, Report]:
    query = select(DatasetReport.dataset_id, DatasetReport.report).where(col(DatasetReport.dataset_id).in_(dataset_ids))
    return {dataset_id: msgspec.convert(stored, Report) for dataset_id, stored in session.exec(query)}


def lacks_tokens(session: Session, dataset_id: str) -> bool:
    """Whether a check has been stored that did not count the tokens."""
    report = of_dataset(session, dataset_id)
    return report is not None and report.encoding is None


def problems(session: Session, dataset_id: str) -> list[Problem]:
    """The first 1,000 of them, in the order of the file."""
    query = select(DatasetReport.problems).where(DatasetReport.dataset_id == dataset_id)
    return msgspec.convert(session.exec(query).one_or_none() or [], list[Problem])

"""Stores the report of a dataset's check, its problems, and its tokens counted in other encodings."""

from typing import Any, ClassVar

import msgspec
from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, Session, col, select

from shared.datasets.models import Dataset
from shared.datasets.validation.findings.problem import Problem
from shared.datasets.validation.findings.report import DEFAULT_ENCODING, Report
from shared.datasets.validation.statistics.results import Statistics
from shared.db.claims import make_due
from shared.db.columns import JSONField
from shared.db.tables import Owned


class DatasetReport(Owned, table=True):
    """The newest report of a dataset. Problems have their own column, so that reading the report does not load them.

    `tokens_in` maps the name of another encoding to its statistics; null means: requested, not counted yet. Lock the
    dataset's row before writing it, since it is read, extended and written back.
    """

    __tablename__ = "dataset_reports"
    id_prefix: ClassVar[str] = "report_"

    dataset_id: str = Field(foreign_key="datasets.id", unique=True)
    report: dict[str, Any] = JSONField()
    problems: list[dict[str, Any]] = JSONField()
    tokens_in: dict[str, Any] | None = JSONField(default=None)


def save(session: Session, dataset: Dataset, report: Report) -> None:
    """Replace the stored report. Of a report in another than the default encoding only the statistics are stored."""
    if report.encoding not in {None, DEFAULT_ENCODING}:
        _set_tokens_in(session, dataset.id, {str(report.encoding): msgspec.to_builtins(report.statistics)})
        return
    summary = msgspec.to_builtins(msgspec.structs.replace(report, problems=[]))
    values = {"report": summary, "problems": msgspec.to_builtins(report.problems)}
    row = DatasetReport(project_id=dataset.project_id, dataset_id=dataset.id, **values)
    new = insert(DatasetReport).values(**row.model_dump())
    session.exec(new.on_conflict_do_update(index_elements=["dataset_id"], set_=values))


def of_dataset(session: Session, dataset_id: str) -> Report | None:
    """Return the report without its problems; None before the check has ended."""
    query = select(DatasetReport.report).where(DatasetReport.dataset_id == dataset_id)
    stored = session.exec(query).one_or_none()
    return None if stored is None else msgspec.convert(stored, Report)


def of_datasets(session: Session, dataset_ids: list[str]) -> dict[str, Report]:
    query = select(DatasetReport.dataset_id, DatasetReport.report).where(col(DatasetReport.dataset_id).in_(dataset_ids))
    return {dataset_id: msgspec.convert(stored, Report) for dataset_id, stored in session.exec(query)}


def next_encoding(session: Session, dataset_id: str) -> str | None:
    """Return the encoding in which a dataset's tokens must be counted next; None if nothing is left to count.

    The default encoding comes first; the others when a request needs them (`in_encoding`).
    """
    report = of_dataset(session, dataset_id)
    if report is None or report.encoding is None:
        return None if report is None else DEFAULT_ENCODING
    return next((name for name, counted in _tokens_in(session, dataset_id).items() if counted is None), None)


def in_encoding(session: Session, dataset: Dataset, report: Report, encoding: str) -> Report | None:
    """Return the report with the tokens of this encoding. If they are not counted yet, request it and return None."""
    if report.encoding == encoding:
        return report
    counted = _tokens_in(session, dataset.id).get(encoding)
    if counted is not None:
        return msgspec.structs.replace(report, encoding=encoding, statistics=msgspec.convert(counted, Statistics))
    session.refresh(dataset, ["due_at", "failures"], with_for_update={"key_share": True})
    if encoding != DEFAULT_ENCODING and encoding not in _tokens_in(session, dataset.id):
        _set_tokens_in(session, dataset.id, {encoding: None})
    make_due(session, dataset)
    return None


def _tokens_in(session: Session, dataset_id: str) -> dict[str, Any]:
    query = select(DatasetReport.tokens_in).where(DatasetReport.dataset_id == dataset_id)
    return dict(session.exec(query).one_or_none() or {})


def _set_tokens_in(session: Session, dataset_id: str, more: dict[str, Any]) -> None:
    values = {"tokens_in": _tokens_in(session, dataset_id) | more}
    session.exec(update(DatasetReport).where(col(DatasetReport.dataset_id) == dataset_id).values(values))


def problems(session: Session, dataset_id: str) -> list[Problem]:
    """Return the first 1,000 problems, in the order of the file."""
    query = select(DatasetReport.problems).where(DatasetReport.dataset_id == dataset_id)
    return msgspec.convert(session.exec(query).one_or_none() or [], list[Problem])

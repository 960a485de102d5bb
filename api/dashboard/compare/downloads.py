"""A comparison as CSV: a row for each job, or the curves with a row for each step of each job."""

from collections.abc import Iterator, Sequence

from sqlmodel import Session

from api.dashboard.compare.selection import Column
from api.dashboard.compare.table import differences, seconds
from shared.database import transaction
from shared.jobs import metrics
from shared.jobs.metrics import MetricsPoint
from shared.overview import side_by_side
from shared.overview.side_by_side import Losses

_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table(session: Session, columns: Sequence[Column], at_step: int | None) -> str:
    """Return a row for each job: the parameters that differ, its losses, its duration in seconds and its cost."""
    by_job = side_by_side.losses(session, [each.job.id for each in columns], at_step)
    differing = differences([each.job for each in columns]).rows
    moments = ("best", "last", "chosen") if at_step is not None else ("best", "last")
    head = ["job", "name", "status", *(_harmless(name) for name, _ in differing)]
    head += [f"{moment}_{name}{unit}" for name in metrics.LOSSES for moment in moments for unit in ("", "_step")]
    rows = [[*head, "duration_seconds", "cost", "currency"]]
    for place, column in enumerate(columns):
        job = column.job
        known = by_job[job.id]
        losses = [cell for name in metrics.LOSSES for cell in _cells(known.get(name), moments)]
        cost = [job.cost.amount, job.cost.currency] if job.cost else ["", ""]
        asked = [_harmless(values[place]) for _, values in differing]
        rows.append([job.id, _harmless(column.name), str(job.status), *asked, *losses, str(seconds(job)), *cost])
    return metrics.csv_lines(rows)


def _cells(losses: Losses | None, moments: Sequence[str]) -> Iterator[str]:
    for moment in moments:
        found = getattr(losses, moment, None)
        yield from (str(found.loss), str(found.step)) if found else ("", "")


def _harmless(text: str) -> str:
    """Quote what a spreadsheet would take for a formula: names are written by others."""
    return f"'{text}" if text.startswith(_STARTS_A_FORMULA) else text


def curves(project_id: str, job_ids: Sequence[str]) -> Iterator[str]:
    """Yield all steps of the jobs in pages, each read in its own transaction: a slow client holds no connection."""
    columns = tuple(MetricsPoint.model_fields)
    yield metrics.csv_lines([("job", *columns)])
    for job_id in job_ids:
        after: str | None = ""
        while after is not None:
            with transaction(project_id) as session:
                rows = metrics.result_rows(session, job_id, after, columns)
            yield metrics.csv_lines([job_id, *cells] for _, cells in rows)
            after = rows[-1][0] if len(rows) == metrics.ROWS_PER_FETCH else None

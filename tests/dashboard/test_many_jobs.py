"""The list of jobs in a project that has ten thousand."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from sqlalchemy import event, insert, text

from api.dashboard import job_list
from api.dashboard.live import changes
from shared.database import get_engine, transaction
from shared.db.ids import new_id
from shared.jobs.models import Job, JobStatus
from tests.dashboard.signed_in import a_browser, sign_in
from tests.worker.support import change
from tests.world import Person, as_owner, row

MANY = 10_000
MOST_ROWS = 500  # that one statement looks at
LISTS = ("FROM jobs", "FROM datasets", "SELECT api_keys.id, api_keys.name \n")
FILTERS: list[dict[str, str]] = [
    {},
    {"status": "failed"},
    {"model": "gpt-4.1-mini"},
    {"suffix": "needle"},
    {"metadata": "team=7"},
    {"since": "24h"},
    {"status": "succeeded", "model": "gpt-4.1-mini"},
]


def add_jobs(person: Person, number: int) -> list[str]:
    """Copy a job of the project this many times; one in a hundred fails, is of another model, or has another name."""
    job_id = person.create_job()
    person.http.post(f"/fine_tuning/jobs/{job_id}/cancel")
    like = row(Job, job_id).model_dump(exclude={"id", "suffix", "status", "model", "labels"})
    like["loss_summary"] = {"train_loss": [[step, 3 / step] for step in range(1, 41)], "valid_loss": 0.5}
    jobs = [
        {
            **like,
            "id": new_id(Job.id_prefix),
            "suffix": f"needle-{index}" if index % 100 == 0 else f"hay-{index}",
            "status": JobStatus.FAILED if index % 100 == 1 else JobStatus.SUCCEEDED,
            "model": "gpt-4.1-mini" if index % 100 == 2 else "gpt-4o-mini",
            "labels": {"team": str(index % 100)},
        }
        for index in range(number)
    ]
    with as_owner() as session:
        session.execute(insert(Job), jobs)
    with as_owner() as session:
        session.execute(text("analyze jobs, job_labels"))
    return [each["id"] for each in jobs]


@contextmanager
def statements(*parts: str) -> Iterator[list[tuple[str, Any]]]:
    """What this process asks the database, if one of these parts is in it."""
    found: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if any(each in statement for each in parts):
            found.append((statement, parameters))

    event.listen(get_engine(), "before_cursor_execute", note)
    yield found
    event.remove(get_engine(), "before_cursor_execute", note)


def rows_read(project_id: str, statement: str, parameters: Any) -> int:
    """Run the statement once more as the project, and count the rows that it looks at."""
    with transaction(project_id) as session:
        explained = session.connection().exec_driver_sql(f"explain (analyze, format json) {statement}", parameters)
        return sum(_read(node) for node in _nodes(explained.scalar_one()[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", []):
        yield from _nodes(each)


def _read(node: dict[str, Any]) -> int:
    each_time = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return int(each_time * node["Actual Loops"])


def most_rows_read(person: Person, found: list[tuple[str, Any]]) -> int:
    return max(rows_read(person.project_id, *each) for each in found)


def asked(browser: httpx2.Client, wanted: dict[str, str]) -> list[tuple[str, Any]]:
    """Open the list with these filters, check that it shows a page, and return what the database was asked."""
    with statements(*LISTS) as found:
        answer = browser.get("/jobs", params=wanted)
    assert (answer.status_code, answer.text.count('<tr id="row-')) == (200, job_list.JOBS_PER_PAGE)
    return found


def test_a_list_of_many_jobs_asks_as_often_as_one_of_few_and_reads_as_little(alice: Person) -> None:
    with a_browser(alice.base_url) as browser:
        sign_in(browser, alice.api_key)
        add_jobs(alice, 40)
        assert len(asked(browser, {})) == len(LISTS)
        oldest = add_jobs(alice, MANY)[: 2 * job_list.JOBS_PER_PAGE]
        for wanted in FILTERS:
            found = asked(browser, wanted)
            assert len(found) == len(LISTS), wanted
            assert most_rows_read(alice, found) <= MOST_ROWS, wanted
        found = asked(browser, {"after": oldest[-1]})
        assert (len(found), most_rows_read(alice, found) <= MOST_ROWS) == (len(LISTS) + 1, True)
        assert browser.get("/jobs", params={"suffix": "needle"}).text.count("needle-") > job_list.JOBS_PER_PAGE


def test_what_tells_a_list_of_many_jobs_that_it_has_changed_reads_a_few(alice: Person) -> None:
    newest = add_jobs(alice, MANY)[-1]
    with statements("hashtextextended") as found:
        before = changes._find([alice.project_id], set()).states
        change(Job, newest, step=7)
        assert changes._find([alice.project_id], set()).states != before
    assert (len(found), most_rows_read(alice, found) <= 2 * MOST_ROWS) == (2, True)

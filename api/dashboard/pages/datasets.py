"""Datasets: the list with its upload, and one dataset with its check, statistics, examples and what was made of it."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import Form, Query
from sqlmodel import col
from starlette.requests import Request
from starlette.responses import Response

from api.auth.deps import After, CallerDep
from api.auth.scopes import scope
from api.dashboard.sent_once import made_by_form
from api.dashboard.snippets import calls
from api.dashboard.view import View, ViewDep, redirect, show
from api.http.pages import DASHBOARD
from api.http.router import Router
from api.routes import datasets as api
from api.routes import files
from shared.datasets import collection
from shared.datasets.models import Dataset, DatasetStatus
from shared.datasets.sources import Split
from shared.datasets.storage import lines, store
from shared.datasets.storage.lines import Excerpt
from shared.datasets.views import DatasetCreate, DatasetPublic, ProblemPublic
from shared.db.owned import list_owned
from shared.db.pages import Page
from shared.errors import Invalid, NotFound, QuotaExceeded, ServiceError
from shared.jobs import dataset_views
from shared.jobs import service as jobs
from shared.jobs.elsewhere import estimates, suitability
from shared.jobs.models import Job
from shared.jobs.schemas import JobPublic

router = Router(prefix=f"{DASHBOARD}/datasets", include_in_schema=False, dependencies=[scope("files")])
UPLOAD = f"{DASHBOARD}/datasets/upload"  # its body may be as large as a file
SHOWN, SHOWN_PROBLEMS, SHOWN_EXAMPLES, SHOWN_JOBS, COMPARABLE, SHOWN_ESTIMATES = 25, 10, 3, 20, 50, 10
Status = Literal["", "uploaded", "processed", "error"]
Text = Annotated[str, Query(max_length=128)]


@router.get("")
def list_datasets(view: ViewDep, status: Status = "", name: Text = "", after: After = None) -> Response:
    """Show the project's datasets."""
    return _list(view, status, name, after)


def _list(view: View, wanted: Status, name: str, after: str | None, **more: Any) -> Response:
    status = DatasetStatus(wanted) if wanted else None
    found = collection.list_datasets(
        view.session, view.caller.project_id, status=status, name=name or None, after=after, limit=SHOWN
    )
    address = "/datasets" + (f"?status={wanted}" if wanted else "")
    snippets = calls(view.request, "GET", address, f'client.get("{address}", cast_to=dict)')
    values = {"problem": None, "shown": Page.of(found, SHOWN), "status_wanted": wanted, "name": name, **more}
    return view.page("datasets/list.html", **{**values, "snippets": snippets})


@router.post("/upload")
async def create_file(request: Request, caller: CallerDep) -> Response:
    """Store a file, and show its check; what refuses it is shown beside the form."""
    try:
        file = await files.create_file(request, caller)
    except ServiceError as error:
        refused = partial(_list, wanted="", name="", after=None, problem=error.message, status=error.status)
        return await anyio.to_thread.run_sync(show, request, caller, refused)
    return redirect(f"/datasets/{file.id}")


@router.get("/{dataset_id}")
def retrieve_dataset(
    view: ViewDep, dataset_id: str, code: Text = "", after: After = None, other: Text = ""
) -> Response:
    """Show a dataset; with `other`, which examples another one has too."""
    if not other:
        return _page(view, dataset_id, code, after)
    try:
        return _page(view, dataset_id, code, after, overlap=api.compare_datasets(view.caller, dataset_id, other))
    except Invalid as error:
        return _page(view, dataset_id, code, after, refusal=error.message)


def _page(view: View, dataset_id: str, code: str = "", after: str | None = None, **more: Any) -> Response:
    dataset = collection.get_dataset(view.session, view.caller.project_id, dataset_id)
    public = dataset_views.show(view.session, dataset)
    values: dict[str, Any] = {
        "dataset": public,
        "problems": _problems(view, dataset, code, after),
        "code": code,
        "examples": _examples(view, dataset, public),
        "roles": _roles(public),
        "used_by": _jobs(view, public.jobs or []),
        "snippets": _snippets(view, dataset_id),
        "refusal": None,
        "others": [each for each in _newest(view) if each.id != dataset_id],
        "overlap": None,
    }
    return view.page("datasets/page.html", **values | more)


def _newest(view: View) -> list[DatasetPublic]:
    return collection.list_datasets(view.session, view.caller.project_id, after=None, limit=COMPARABLE)


@dataclass(frozen=True)
class Shown:
    problem: ProblemPublic
    excerpt: Excerpt | None


def _problems(view: View, dataset: Dataset, code: str, after: str | None) -> Page[Any]:
    """The problems of one page, with what stands at their places in the file; of a wrong file first only the errors."""
    severity = "error" if dataset.status is DatasetStatus.ERROR and not code else None
    listed = collection.list_problems(
        view.session, dataset, code=code or None, severity=severity, after=after, limit=SHOWN_PROBLEMS
    )
    page = Page.of(listed, SHOWN_PROBLEMS)
    if not page.data:
        return page
    try:
        with store.open_dataset(dataset.id) as file:
            found = [
                Shown(each, None if each.offset is None else lines.excerpt(file, each.offset)) for each in page.data
            ]
    except OSError:  # the list of problems is worth more than the rows
        found = [Shown(each, None) for each in page.data]
    return page.model_copy(update={"data": found})


def _examples(view: View, dataset: Dataset, public: DatasetPublic) -> list[Any]:
    if public.format is None:
        return []
    try:
        return api.preview_dataset(view.caller, dataset.id, limit=SHOWN_EXAMPLES)
    except (Invalid, OSError):
        return []


def _roles(dataset: DatasetPublic) -> dict[str, int]:
    """How many examples have a message of each role."""
    counts: dict[str, int] = {}
    for shape, count in ((dataset.statistics or {}).get("shapes") or {}).items():
        for role in {each.strip() for each in shape.replace(",", " ").split()}:
            counts[role] = counts.get(role, 0) + count
    return dict(sorted(counts.items(), key=lambda each: -each[1]))


def _jobs(view: View, ids: list[str]) -> list[JobPublic]:
    """The newest jobs that used the dataset; none for a key that may not see jobs."""
    if not ids or not view.caller.may("jobs:read"):
        return []
    rows = list_owned(view.session, Job, view.caller.project_id, col(Job.id).in_(ids), after=None, limit=SHOWN_JOBS)
    return [JobPublic.of(row) for row in rows[:SHOWN_JOBS]]


def _snippets(view: View, dataset_id: str) -> dict[str, str]:
    address = f"/datasets/{dataset_id}"
    return calls(view.request, "GET", address, f'client.get("{address}", cast_to=dict)')


@router.get("/{dataset_id}/elsewhere")
def list_dataset_providers(view: ViewDep, dataset_id: str) -> Response:
    """Show at which providers a job on the dataset can run, and where it would cost least."""
    session, caller = view.session, view.caller
    dataset = collection.get_dataset(session, caller.project_id, dataset_id)
    values: dict[str, Any] = {"providers": [], "estimates": [], "count": 0, "refusal": None}
    try:
        values["providers"] = suitability.providers_of(session, caller.project_id, caller.model_rule, dataset_id, None)
        found = estimates.everywhere(session, caller.project_id, caller.model_rule, dataset_id)
        values |= {"estimates": found[:SHOWN_ESTIMATES], "count": len(found)}
    except Invalid as error:
        values["refusal"] = error.message
    looking, estimating = (
        calls(view.request, "GET", path, f'print(client.get("{path}", cast_to=dict))')
        for path in (f"/datasets/{dataset_id}/providers", f"/datasets/{dataset_id}/estimate")
    )
    return view.page(
        "elsewhere/dataset.html",
        dataset=collection.show(session, dataset),
        snippets=looking,
        estimating=estimating,
        **values,
    )


@router.get("/{dataset_id}/valid.jsonl")
def retrieve_valid_lines(caller: CallerDep, dataset_id: str) -> Response:
    """Download the lines that are right."""
    return api.retrieve_valid_lines(caller, dataset_id)


@router.get("/{dataset_id}/content")
def retrieve_file_content(view: ViewDep, dataset_id: str) -> Response:
    """Download the file as it was uploaded."""
    answer = files.retrieve_file_content(view.request, view.session, view.caller, dataset_id)
    answer.headers["content-disposition"] = f'attachment; filename="{dataset_id}.jsonl"'
    return answer


@router.post("/{dataset_id}/split")
def create_dataset(
    view: ViewDep,
    dataset_id: str,
    percent: Annotated[int, Form(ge=1, le=90)] = 10,
    form_id: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Split a dataset into one for training and one for validation."""
    new = DatasetCreate(file_id=dataset_id, split=Split(fraction=percent / 100))
    try:
        with view.session.begin_nested():
            made_by_form(
                *(view, view.caller.key_id, form_id, percent),
                lambda: collection.create(view.session, view.caller.project_id, new, None).id,
            )
    except (Invalid, QuotaExceeded) as error:
        return _page(view, dataset_id, refusal=error.message, status=error.status)
    return redirect(f"/datasets/{dataset_id}")


@router.post("/{dataset_id}/delete")
def delete_file(view: ViewDep, dataset_id: str) -> Response:
    """Delete a dataset, unless a job still needs it."""
    try:
        jobs.delete_dataset(view.session, view.caller.project_id, dataset_id)
    except NotFound:
        raise
    except ServiceError as error:
        return _page(view, dataset_id, refusal=error.message, status=error.status)
    return redirect("/datasets")

"""Where else a job could run: at which provider, on which base, for how much, and what would be different there."""

from typing import Any

from starlette.responses import Response

from api.auth.scopes import scope
from api.dashboard import job_facts
from api.dashboard.forms import Form, FormDep, shown_again
from api.dashboard.sent_once import made_by_typed
from api.dashboard.snippets import calls
from api.dashboard.view import View, ViewDep, redirect
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.jobs import service as jobs
from shared.jobs.elsewhere.alternatives import Alternative, alternatives
from shared.jobs.schemas import JobCreate, JobPublic

router = Router(prefix=f"{DASHBOARD}/jobs/{{job_id}}/elsewhere", include_in_schema=False, dependencies=[scope("jobs")])
SHOWN = 50


@router.get("")
def list_job_alternatives(view: ViewDep, job_id: str) -> Response:
    """Show the alternatives of a job: those that fit first, the cheapest before others."""
    return _page(view, job_id, Form())


@router.post("")
def create_job(view: ViewDep, job_id: str, form: FormDep) -> Response:
    """Run the job at a provider, on a base, that were offered."""
    job_facts.find(view.session, view.caller.project_id, job_id)
    with shown_again(form, lambda form: _page(view, job_id, form)):
        new = JobCreate(from_job=job_id, provider=form.text("provider"), model=form.text("model"))
        made = made_by_typed(view, view.caller.key_id, form, lambda: jobs.create(view.session, view.caller, new).id)
    return redirect(f"/jobs/{made}")


def _page(view: View, job_id: str, form: Form) -> Response:
    row = job_facts.find(view.session, view.caller.project_id, job_id)
    found = alternatives(view.session, view.caller, job_id)
    return view.page(
        "elsewhere/job.html",
        status=400 if form.errors else 200,
        job=JobPublic.of(row),
        form=form,
        may_write=view.caller.may("jobs:write"),
        alternatives=found[:SHOWN],
        count=len(found),
        snippets=_looking(view, job_id),
        creating=_creating(view, found),
    )


def _looking(view: View, job_id: str) -> dict[str, str]:
    path = f"/fine_tuning/jobs/{job_id}/alternatives"
    return calls(view.request, "GET", path, f'print(client.get("{path}", cast_to=dict))')


def _creating(view: View, found: list[Alternative]) -> dict[str, str] | None:
    """The call that takes the first alternative; None if there is none."""
    if not found:
        return None
    body: dict[str, Any] = found[0].request
    python = f'print(client.post("/fine_tuning/jobs", body={body!r}, cast_to=dict))'
    return calls(view.request, "POST", "/fine_tuning/jobs", python, body=body)

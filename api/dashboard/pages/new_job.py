"""A new job without code: its files, the model and what is tuned how, the estimate, and the job.

All that was chosen is in the address, so each step can be sent to a colleague; without scripts each step is a page.
"""

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from api.auth.scopes import scope
from api.dashboard import job_draft
from api.dashboard.job_draft import Draft
from api.dashboard.sent_once import made_by_form, new_form_id
from api.dashboard.snippets import calls
from api.dashboard.view import View, ViewDep, redirect
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.budgets import limits
from shared.datasets import collection
from shared.datasets.sources import Split
from shared.datasets.views import DatasetCreate, DatasetPublic, EstimatePublic
from shared.db.owned import get_owned
from shared.deployments.deployable import needs_deployment
from shared.errors import Invalid, NotFound, ServiceError
from shared.jobs import model_list, tuned_models
from shared.jobs import service as jobs
from shared.jobs.elsewhere import estimates
from shared.jobs.models import Job
from shared.projects import credentials
from shared.projects.credentials import Account
from shared.projects.models import Credential
from shared.providers.options import OPTIONS

router = Router(prefix=f"{DASHBOARD}/jobs/new", include_in_schema=False, dependencies=[scope("jobs")])
OFFERED = 100  # datasets and models in a list; the id of any other can be in the address
SHARE_FOR_VALIDATION = 0.1


@dataclass(frozen=True)
class Sent:
    id: str
    draft: Draft


async def _form(request: Request) -> Sent:
    sent = await request.form(max_files=0, max_fields=64)
    return Sent(str(sent.get("form_id", "")), job_draft.read(sent))


FormDep = Annotated[Sent, Depends(_form)]


@router.get("")
def new_job(view: ViewDep) -> Response:
    """Show the step that the address leads to."""
    draft = job_draft.read(view.request.query_params)
    if draft["from_job"] and not draft["training_file"]:
        draft = job_draft.of_job(get_owned(view.session, Job, draft["from_job"], view.caller.project_id))
    return _page(view, draft)


@router.post("")
def create_job(view: ViewDep, form: FormDep) -> Response:
    """Create the job; what refuses it is shown at its field."""
    draft = form.draft
    try:
        with view.session.begin_nested():
            made = made_by_form(
                *(view, view.caller.key_id, form.id, draft),
                lambda: jobs.create(view.session, view.caller, _request(view, draft)).id,
            )
    except ServiceError as error:
        return _page(view, draft, error, status=error.status)
    return redirect(f"/jobs/{made}")


@router.post("/split")
def create_dataset(view: ViewDep, form: FormDep) -> Response:
    """Split the training file, and go on with its two parts."""
    draft = form.draft
    view.caller.check("files:write")
    try:
        job_draft.check_storable(draft)
        new = DatasetCreate(file_id=draft["training_file"], split=Split(fraction=SHARE_FOR_VALIDATION))
        with view.session.begin_nested():
            whole = collection.create(view.session, view.caller.project_id, new, None)
            training, validation = collection.parts(view.session, whole)
    except ServiceError as error:
        return _page(view, draft, error, status=error.status)
    chosen = {**draft, "training_file": training.id, "validation_file": validation.id}
    return redirect("/jobs/new?" + urlencode({name: text for name, text in chosen.items() if text}))


def _page(view: View, draft: Draft, error: ServiceError | None = None, *, status: int = 200) -> Response:
    view.caller.check("files:read")
    draft = job_draft.storable(draft)
    error = error or _wrong_epochs(draft)
    field = job_draft.field_of(error.param, draft) if error else None
    values: dict[str, Any] = {
        "draft": draft,
        "refusal": error.message if error else None,
        "at": field,
        "datasets": _datasets(view),
        "dataset": None,
        "providers": [],
        "form_id": new_form_id(),
    }
    if draft["training_file"]:
        values |= _chosen(view, draft)
    return view.page("new_job/page.html", status=status, **values)


def _wrong_epochs(draft: Draft) -> Invalid | None:
    try:
        job_draft.epochs(draft)
    except Invalid as error:
        return error
    return None


def _datasets(view: View) -> list[DatasetPublic]:
    """The newest datasets that a job may use."""
    found = collection.list_datasets(view.session, view.caller.project_id, after=None, limit=OFFERED)
    return [each for each in found if each.status != "error"][:OFFERED]


def _chosen(view: View, draft: Draft) -> dict[str, Any]:
    """What is shown once there is a training file: its check, what can be chosen, and the estimate."""
    dataset = collection.get_dataset(view.session, view.caller.project_id, draft["training_file"])
    providers = _providers(view, draft["model"])
    if draft["provider"] not in providers:  # it was chosen for another model, or there is no choice
        draft["provider"] = ""
    estimate, reason = _estimate(view, draft) if draft["model"] else (None, None)
    account = _account(view, draft)
    return {
        "dataset": collection.show(view.session, dataset),
        "models": _models(view),
        "methods": job_draft.METHODS,
        "providers": providers,
        "options": _options(account),
        "deploys": needs_deployment(account),
        "estimate": estimate,
        "no_estimate": reason,
        "spend_limit": limits.if_any(limits.get_spend_limit, view.session, view.caller.project_id),
        "approval_limit": limits.if_any(limits.get_approval_limit, view.session, view.caller.project_id),
        "snippets": _snippets(view, draft),
    }


def _models(view: View) -> list[str]:
    if not view.caller.may("models:read"):
        return []
    return [each.id for each in model_list.list_models(view.session, view.caller.project_id, OFFERED)[:OFFERED]]


def _providers(view: View, model: str) -> list[str]:
    """The providers to choose from, that of new jobs first; none where only one offers the model."""
    accounts = credentials.usable_by(view.session, view.caller.project_id)
    offering = tuned_models.providers_of(accounts).get(model, [])
    return offering if len(offering) > 1 else []


def _estimate(view: View, draft: Draft) -> tuple[EstimatePublic | None, str | None]:
    method: Any = draft["method"] if draft["method"] in job_draft.METHODS else None
    try:
        epochs = job_draft.epochs(draft)
        asked = (draft["training_file"], draft["model"], method, epochs, draft["provider"] or None)
        return estimates.of_model(view.session, view.caller.project_id, *asked), None
    except Invalid as error:
        return None, error.message


@dataclass(frozen=True)
class Offered:
    """A provider option: `kind` of its input, `values` to choose from, and what a value must be."""

    name: str
    kind: str
    values: list[str]
    must_be: str


def _account(view: View, draft: Draft) -> Credential:
    """The account that a job on this model would go to."""
    session, project_id, model = view.session, view.caller.project_id, draft["model"]
    if model:
        try:
            return tuned_models.account_to_tune(session, project_id, model, draft["provider"] or None)
        except (NotFound, Invalid):
            pass
    return credentials.usable_by(session, project_id)[0]


def _options(account: Credential) -> list[Offered]:
    known = OPTIONS[Account.of(account).dialect]
    return [
        Offered(
            name, job_draft.kind_of(option), [str(each) for each in getattr(option, "known", ())], option.sentence()
        )
        for name, option in known.items()
    ]


def _request(view: View, draft: Draft) -> Any:
    job_draft.check_storable(draft)
    like = get_owned(view.session, Job, draft["from_job"], view.caller.project_id) if draft["from_job"] else None
    options = OPTIONS[Account.of(_account(view, draft)).dialect]
    return job_draft.request(draft, options, like)


def _snippets(view: View, draft: Draft) -> dict[str, str]:
    try:
        body = _request(view, draft).model_dump(exclude_none=True)
    except ServiceError:
        return {}
    arguments = ", ".join(f"{name}={value!r}" for name, value in body.items())
    python = f"client.fine_tuning.jobs.create({arguments})"
    return calls(view.request, "POST", "/fine_tuning/jobs", python, body=body)

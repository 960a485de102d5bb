"""Models: those that the project's jobs have made, with what they came from, and the base models to start from."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from api.auth.deps import After
from api.auth.scopes import scope
from api.dashboard.snippets import calls
from api.dashboard.view import View, ViewDep, redirect
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.db.owned import get_owned, list_owned
from shared.deployments import ends as endings
from shared.deployments.deployable import needs_deployment
from shared.deployments.models import Deployment
from shared.deployments.prices import price_per_hour
from shared.deployments.schemas import DeploymentPublic
from shared.errors import NotFound, ServiceError
from shared.jobs import model_list, tuned_models
from shared.jobs import service as jobs
from shared.jobs.models import Checkpoint, Job, TunedModel
from shared.jobs.schemas import CheckpointPublic, JobPublic

router = Router(prefix=f"{DASHBOARD}/models", include_in_schema=False, dependencies=[scope("models")])
SHOWN, SHOWN_BASES, SHOWN_CHECKPOINTS = 25, 100, 20


@router.get("")
def list_models(view: ViewDep, after: After = None) -> Response:
    """Show the project's own models, and the base models."""
    project_id = view.caller.project_id
    rows = list_owned(view.session, TunedModel, project_id, after=after, limit=SHOWN)
    last_days = model_list.ends(view.session, {(row.base_model, row.credential_id) for row in rows})
    return view.page(
        "models/list.html",
        own=[(row, last_days[row.base_model, row.credential_id]) for row in rows[:SHOWN]],
        has_more=len(rows) > SHOWN,
        may_read_jobs=view.caller.may("jobs:read"),
        bases=model_list.list_bases(view.session, project_id)[:SHOWN_BASES],
        snippets=calls(view.request, "GET", "/models", "print(client.models.list())"),
    )


@router.get("/{model:path}")
def retrieve_model(view: ViewDep, model: str) -> Response:
    """Show a model."""
    return _page(view, model)


@router.post("/{model:path}/delete")
def delete_model(view: ViewDep, model: str) -> Response:
    """Delete a tuned model, here and at the provider."""
    try:
        endings.delete_model(view.session, view.caller.project_id, model)
    except NotFound:
        raise
    except ServiceError as error:
        return _page(view, model, error)
    return redirect("/models")


def _page(view: View, name: str, error: ServiceError | None = None) -> Response:
    project_id = view.caller.project_id
    public = tuned_models.get_model(view.session, project_id, name)
    row = next(
        iter(list_owned(view.session, TunedModel, project_id, TunedModel.name == name, after=None, limit=1)), None
    )
    values: dict[str, Any] = {"job": None, "checkpoints": []}
    if view.caller.may("jobs:read"):
        values = _lineage(view, name, row)
    return view.page(
        "models/page.html",
        status=error.status if error else 200,
        refusal=error.message if error else None,
        model=public,
        row=row,
        is_own=public.owned_by == project_id,
        deployment=_deployment(view, name) if public.owned_by == project_id else None,
        may_deploy=view.caller.may("deployments:write"),
        snippets=calls(view.request, "GET", f"/models/{name}", f"client.models.retrieve({name!r})"),
        **values,
    )


@dataclass(frozen=True)
class Deployed:
    """Of a model whose provider needs a deployment: the newest one, if there is any; `is_open`: it has not ended.

    `price`: of an hour, in US dollars; None if it is not known.
    """

    newest: DeploymentPublic | None
    is_open: bool
    price: Decimal | None


def _deployment(view: View, name: str) -> Deployed | None:
    """None for a model that needs none, and for a key that may not see deployments."""
    project_id = view.caller.project_id
    if not view.caller.may("deployments:read"):
        return None
    account = tuned_models.account_to_call(view.session, project_id, name)
    if not needs_deployment(account):
        return None
    rows = list_owned(view.session, Deployment, project_id, Deployment.model == name, after=None, limit=1)
    newest = DeploymentPublic.of(rows[0]) if rows else None
    return Deployed(newest, newest is not None and not newest.status.is_final, price_per_hour(account, {}))


def _lineage(view: View, name: str, row: TunedModel | None) -> dict[str, Any]:
    """The job that has made a model or a checkpoint, and the job's checkpoints that can still be used."""
    project_id = view.caller.project_id
    saved = list_owned(view.session, Checkpoint, project_id, Checkpoint.model == name, after=None, limit=1)
    job_id = row.job_id if row else saved[0].job_id if saved else None
    if job_id is None:
        return {"job": None, "checkpoints": []}
    job = get_owned(view.session, Job, job_id, project_id)
    checkpoints = jobs.list_checkpoints(view.session, project_id, job_id, after=None, limit=SHOWN_CHECKPOINTS)
    return {"job": JobPublic.of(job), "checkpoints": [CheckpointPublic.of(each) for each in checkpoints]}

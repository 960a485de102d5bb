"""The page that opens first: what runs, waits and has failed, what was spent, and the first lines for a newcomer."""

from starlette.requests import Request
from starlette.responses import Response

from api.auth.scopes import scope
from api.dashboard import snippets
from api.dashboard.view import View, ViewDep
from api.http.pages import DASHBOARD
from api.http.router import Router
from shared.db.owned import list_owned
from shared.jobs import model_list
from shared.jobs.model_list import ModelLine
from shared.jobs.models import Job
from shared.jobs.schemas import JobPublic
from shared.overview import own_project

router = Router(prefix=DASHBOARD, include_in_schema=False, dependencies=[scope("jobs")])
NEWEST = 8
MODELS_THAT_END = 5


@router.get("")
def start(view: ViewDep) -> Response:
    """Show what is going on in the project."""
    rows = list_owned(view.session, Job, view.caller.project_id, after=None, limit=NEWEST)
    return view.page(
        "start.html",
        overview=own_project.show(view.session, view.caller),
        jobs=[JobPublic.of(row) for row in rows[:NEWEST]],
        ending=_models_that_end(view),
        first_lines=_first_lines(view.request),
        snippets=snippets.calls(view.request, "GET", "/project", 'print(client.get("/project", cast_to=dict))'),
    )


def _models_that_end(view: View) -> list[ModelLine]:
    """Return the project's own models that the provider will stop, the next one first; none without `models:read`."""
    if not view.caller.may("models:read"):
        return []
    return model_list.list_ending(view.session, view.caller.project_id, MODELS_THAT_END)


def _first_lines(request: Request) -> dict[str, str]:
    """Return what a newcomer pastes: the address, a file, a job."""
    address = snippets.api_url(request)
    shell = f"export OPENAI_BASE_URL={address}\nexport OPENAI_API_KEY=sk-tun-…  # the key that you have signed in with"
    python = (
        "from openai import OpenAI\n\nclient = OpenAI()\n"
        'file = client.files.create(file=open("train.jsonl", "rb"), purpose="fine-tune")\n'
        'job = client.fine_tuning.jobs.create(training_file=file.id, model="gpt-4o-mini")'
    )
    return {"Shell": shell, "Python": python}

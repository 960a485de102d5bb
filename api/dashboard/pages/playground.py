"""The playground: the same prompts to several models side by side.

The address keeps what is asked. Answers are kept nowhere, and can be downloaded. With scripts they appear as they come;
without, the page comes back once all are there.
"""

from dataclasses import replace
from functools import partial
from typing import Annotated

import anyio.to_thread
from fastapi import Form as FormField
from starlette.requests import Request
from starlette.responses import Response

from api.auth.deps import CallerDep
from api.auth.scopes import scope
from api.dashboard import rendering
from api.dashboard.asking.answers import Answer, Answers
from api.dashboard.asking.question import LABELS, MAX_MODELS, MAX_PROMPTS, Address, Question, Typed, of_address
from api.dashboard.forms import Form, FormDep, noted
from api.dashboard.live import parts
from api.dashboard.snippets import calls
from api.dashboard.view import View, ViewDep, show
from api.http.disconnects import unless_disconnected
from api.http.pages import DASHBOARD
from api.http.router import Router
from api.streams.wire import KEEP_ALIVE, EventStream
from shared.datasets import collection
from shared.datasets.models import DatasetStatus
from shared.datasets.views import DatasetPublic
from shared.db.owned import list_owned
from shared.errors import Invalid
from shared.jobs import model_list
from shared.jobs.models import Checkpoint

router = Router(prefix=f"{DASHBOARD}/playground", include_in_schema=False, dependencies=[scope("inference")])
OFFERED, OFFERED_CHECKPOINTS, OFFERED_FILES = 100, 20, 50
Record = Annotated[str, FormField(max_length=1 << 20)]  # an answer may be longer than what is asked


@router.get("")
def playground(view: ViewDep) -> Response:
    """Show the form; with a job, its models are offered first, and the first rows of its validation file are asked."""
    given = view.request.query_params
    return _filled(view, Form({name: given.getlist(name) for name in given}))


@router.post("/rows")
def preview_dataset(view: ViewDep, form: FormDep) -> Response:
    """Add the first rows of a file to the prompts: in a form, as an address has no room for long ones."""
    return _filled(view, form)


def _filled(view: View, form: Form) -> Response:
    question = Question.as_typed(form)
    with noted(form):
        question = of_address(view, Address.of(form))
    if form.errors and view.is_part:
        raise _refusal(form)
    return _page(view, question, [], form)


def _refusal(form: Form) -> Invalid:
    """What is wrong with the form, for a page that keeps what was typed."""
    name, text = next(iter(form.errors.items()))
    return Invalid(f"{LABELS[name]}: {text}" if name in LABELS else text, param=name or None)


@router.post("")
async def create_chat_completion(request: Request, caller: CallerDep, form: FormDep) -> Response:
    """Ask; for htmx, a stream of parts."""
    question = Question.as_typed(form)
    with noted(form):
        question = Question.of(Typed.of(form))
    if form.errors and "hx-request" in request.headers:
        raise _refusal(form)
    if form.errors:
        refused = partial(_page, question=question, rows=[], form=form)
        return await anyio.to_thread.run_sync(show, request, caller, refused)
    answers = Answers(request, caller, question)
    if "hx-request" in request.headers:
        return EventStream(_stream(request, answers), caller)
    await unless_disconnected(request, _drain(answers))
    answered = partial(_page, question=question, rows=answers.rows(), form=form)
    return await anyio.to_thread.run_sync(show, request, caller, answered)


async def _drain(answers: Answers) -> None:
    async for _ in answers.news():
        pass


async def _stream(request: Request, answers: Answers) -> parts.Blocks:
    """Yield the places of all answers, what is added to each, and each anew when its state has changed."""
    yield parts.message(rendering.render(request, "playground/_answers.html", rows=answers.rows()))
    async for news in answers.news():
        yield parts.message(rendering.render(request, "playground/_news.html", news=news)) if news else KEEP_ALIVE


@router.post("/answers.jsonl")
def download_answers(answer: Annotated[list[Record], FormField(max_length=MAX_MODELS * MAX_PROMPTS)] = []) -> Response:  # noqa: B006
    """Return the answers that the page has, as a file."""
    headers = {"content-disposition": 'attachment; filename="answers.jsonl"'}
    return Response("".join(f"{each}\n" for each in answer), media_type="application/jsonl", headers=headers)


def _page(view: View, question: Question, rows: list[list[Answer]], form: Form) -> Response:
    shown = replace(question, temperature="", max_tokens="") if form.errors else question
    example = shown.body((question.models or ["gpt-4o-mini"])[0], (question.prompts or ["Hello"])[0])
    python = f"client.chat.completions.create(model={example['model']!r}, messages={example['messages']!r})"
    return view.page(
        "playground/page.html",
        status=400 if form.errors else 200,
        form=form,
        labels=LABELS,
        question=question,
        rows=rows,
        offered=_offered(view, question.models),
        files=_files(view),
        max_models=MAX_MODELS,
        max_prompts=MAX_PROMPTS,
        snippets=calls(view.request, "POST", "/chat/completions", python, body=example),
    )


def _offered(view: View, chosen: list[str]) -> list[str]:
    """The models to choose from: those chosen first, then the project's own, their checkpoints, and the bases."""
    if not view.caller.may("models:read"):
        return chosen
    project_id = view.caller.project_id
    known = model_list.list_models(view.session, project_id, OFFERED)
    own = [each.id for each in known if each.owned_by == project_id]
    alive = [Checkpoint.expired_at == None]  # noqa: E711
    saved = list_owned(view.session, Checkpoint, project_id, *alive, after=None, limit=OFFERED_CHECKPOINTS)
    bases = [each.id for each in known if each.owned_by != project_id]
    return list(dict.fromkeys([*chosen, *own, *(each.model for each in saved), *bases]))[:OFFERED]


def _files(view: View) -> list[DatasetPublic]:
    """The newest datasets whose rows can be asked."""
    if not view.caller.may("files:read"):
        return []
    return collection.list_datasets(
        view.session, view.caller.project_id, status=DatasetStatus.PROCESSED, after=None, limit=OFFERED_FILES
    )

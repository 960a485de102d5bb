"""The playground: the same prompts to several models side by side. Answers are kept nowhere, and can be downloaded.

With scripts each answer appears as it comes; without, the page comes back once all are there.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from api.auth.deps import CallerDep
from api.auth.scopes import scope
from api.dashboard import rendering
from api.dashboard.snippets import calls
from api.dashboard.view import View, ViewDep, show
from api.http.disconnects import unless_disconnected
from api.http.pages import DASHBOARD
from api.rate_limits.further_requests import count_another
from api.routes import chat
from api.routes.datasets import preview_dataset
from shared.db.owned import get_owned, list_owned
from shared.errors import Invalid, ServiceError
from shared.jobs import model_list
from shared.jobs import service as jobs
from shared.jobs.models import Checkpoint, Job
from shared.projects.callers import Caller
from shared.settings import get_settings

router = APIRouter(prefix=f"{DASHBOARD}/playground", include_in_schema=False, dependencies=[scope("inference")])
MAX_MODELS, MAX_PROMPTS, MAX_CHARACTERS = 4, 8, 20_000
AT_ONCE = 4  # answers of one page that are waited for at the same time
OFFERED, OFFERED_CHECKPOINTS = 100, 20
Record = Annotated[str, Form(max_length=1 << 20)]  # an answer may be longer than what is asked
Text = Annotated[str, Form(max_length=MAX_CHARACTERS)]
Temperature = Annotated[str, Form(pattern=r"^([01](\.\d{1,2})?|2(\.0{1,2})?)?$")]
MaxTokens = Annotated[str, Form(pattern=r"^([1-9]\d{0,4})?$")]


@dataclass(frozen=True)
class Question:
    """What is asked; empty `temperature` and `max_tokens` leave the choice to the provider."""

    models: list[str]
    prompts: list[str]
    system: str = ""
    temperature: str = ""
    max_tokens: str = ""

    def body(self, model: str, prompt: str) -> dict[str, Any]:
        opening = [{"role": "system", "content": self.system}] if self.system else []
        body: dict[str, Any] = {"model": model, "messages": [*opening, {"role": "user", "content": prompt}]}
        if self.temperature:
            body["temperature"] = float(self.temperature)
        if self.max_tokens:
            body["max_tokens"] = int(self.max_tokens)
        return body


@dataclass(frozen=True)
class Answer:
    """`error`: why there is no `text`. `tokens`: of the answer, if the provider has said."""

    model: str
    prompt: str
    text: str = ""
    error: str = ""
    tokens: int | None = None

    @property
    def record(self) -> str:
        """As JSON, for the form that downloads the answers."""
        record = {"model": self.model, "prompt": self.prompt, "answer": self.text, "error": self.error}
        return json.dumps(record, ensure_ascii=False)


_Models = Annotated[list[Annotated[str, Query(max_length=256)]], Query(max_length=MAX_MODELS)]


@router.get("")
def playground(view: ViewDep, model: _Models = [], job: Annotated[str, Query(max_length=64)] = "") -> Response:  # noqa: B006
    """Show the form; with a job, its models are offered first, and the first rows of its validation file are asked."""
    return _page(view, _of_job(view, job, model) if job else Question(model, []), [])


def _of_job(view: View, job_id: str, chosen: list[str]) -> Question:
    view.caller.check("jobs:read")
    job = get_owned(view.session, Job, job_id, view.caller.project_id)
    made = [job.fine_tuned_model] if job.fine_tuned_model else []
    saved = jobs.list_checkpoints(view.session, job.project_id, job.id, after=None, limit=MAX_MODELS)
    alive = [each.model for each in saved if each.expired_at is None]
    models = list(dict.fromkeys([*chosen, job.model, *made, *alive]))[:MAX_MODELS]
    prompts, system = _rows(view, job.validation_file) if job.validation_file else ([], "")
    return Question(models, prompts, system)


def _rows(view: View, file_id: str) -> tuple[list[str], str]:
    """The first questions of a file, and the system prompt of its first row; nothing where it cannot be read."""
    if not view.caller.may("files:read"):
        return [], ""
    try:
        found = preview_dataset(view.caller, file_id, limit=3)
    except (ServiceError, OSError):
        return [], ""
    asked = [[each.text for each in example.messages if each.role == "user"][-1:] for example in found]
    system = [each.text for example in found[:1] for each in example.messages if each.role in {"system", "developer"}]
    return [text for texts in asked for text in texts], "".join(system[:1])


@router.post("")
async def create_chat_completion(
    request: Request,
    caller: CallerDep,
    model: Annotated[list[str], Form()] = [],  # noqa: B006
    prompt: Annotated[list[Text], Form()] = [],  # noqa: B006
    system: Text = "",
    temperature: Temperature = "",
    max_tokens: MaxTokens = "",
) -> Response:
    """Ask; for htmx, a part whose answers then come one by one."""
    prompts = [each for each in prompt if each.strip()]
    if len(model) > MAX_MODELS or len(prompts) > MAX_PROMPTS:
        raise Invalid(
            f"Choose up to {MAX_MODELS} models and {MAX_PROMPTS} prompts: {len(model)} and {len(prompts)} are"
        )
    question = Question(model, prompts, system, temperature, max_tokens)
    if "hx-request" in request.headers:
        waiting = [[Answer(name, text) for name in question.models] for text in prompts]
        return rendering.page(request, "playground/_answers.html", question=question, rows=waiting, is_waiting=True)
    limiter = anyio.CapacityLimiter(AT_ONCE)
    deadline = _deadline()
    turns = [(name, text, _turn(request, limiter, deadline)) for text in prompts for name in question.models]
    answers = await unless_disconnected(request, asyncio.gather(*(_ask(caller, question, *each) for each in turns)))
    width = max(1, len(question.models))
    rows = [list(answers[start : start + width]) for start in range(0, len(answers), width)]
    return await anyio.to_thread.run_sync(show, request, caller, partial(_page, question=question, rows=rows))


@router.post("/answer")
async def answer_of_one(
    request: Request,
    caller: CallerDep,
    model: Annotated[str, Form(max_length=256)],
    prompt: Text,
    system: Text = "",
    temperature: Temperature = "",
    max_tokens: MaxTokens = "",
) -> Response:
    """Return one answer as a part."""
    question = Question([model], [prompt], system, temperature, max_tokens)
    answer = await unless_disconnected(request, _ask(caller, question, model, prompt, asyncio.timeout_at(_deadline())))
    return rendering.page(request, "playground/_answer.html", answer=answer)


@router.post("/answers.jsonl")
def download_answers(answer: Annotated[list[Record], Form(max_length=MAX_MODELS * MAX_PROMPTS)] = []) -> Response:  # noqa: B006
    """Return the answers that the page has, as a file."""
    headers = {"content-disposition": 'attachment; filename="answers.jsonl"'}
    return Response("".join(f"{each}\n" for each in answer), media_type="application/jsonl", headers=headers)


def _deadline() -> float:
    """By the loop's clock: a page may take as long as one chat of the API."""
    return asyncio.get_running_loop().time() + get_settings().chat.timeout.total_seconds()


@asynccontextmanager
async def _turn(request: Request, limiter: anyio.CapacityLimiter, deadline: float) -> AsyncIterator[None]:
    """Wait for one of the places of the page; what is then asked counts as a request of its own."""
    async with asyncio.timeout_at(deadline), limiter:
        await count_another(request)
        yield


async def _ask(
    caller: Caller, question: Question, model: str, prompt: str, turn: AbstractAsyncContextManager[Any]
) -> Answer:
    """Ask a model in `turn`, as the API's route does. What refuses it is the answer's error."""
    body = json.dumps(question.body(model, prompt)).encode()
    try:
        async with turn, AsyncExitStack() as held:
            response = await chat.answer(caller, held, body)
            content = b"".join([_bytes(each) async for each in response.body_iterator])
    except ServiceError as error:
        return Answer(model, prompt, error=error.message)
    except TimeoutError:
        return Answer(model, prompt, error=f"No answer within {get_settings().chat.timeout.total_seconds():g} seconds")
    except Exception as error:
        return Answer(model, prompt, error=f"The answer broke off: {type(error).__name__}")
    return _read(model, prompt, content)


def _bytes(block: Any) -> bytes:
    return block.encode() if isinstance(block, str) else bytes(block)


def _read(model: str, prompt: str, content: bytes) -> Answer:
    try:
        found = json.loads(content)
        if "error" in found:
            return Answer(model, prompt, error=str(found["error"].get("message") or "The provider refused it"))
        message = found["choices"][0]["message"]
        text = message.get("content") or json.dumps(message.get("tool_calls"), ensure_ascii=False)
        return Answer(model, prompt, str(text), tokens=(found.get("usage") or {}).get("completion_tokens"))
    except (ValueError, LookupError, TypeError, AttributeError):
        return Answer(model, prompt, error="The provider's answer cannot be read")


def _page(view: View, question: Question, rows: list[list[Answer]]) -> Response:
    example = question.body((question.models or ["gpt-4o-mini"])[0], (question.prompts or ["Hello"])[0])
    python = f"client.chat.completions.create(model={example['model']!r}, messages={example['messages']!r})"
    return view.page(
        "playground/page.html",
        question=question,
        rows=rows,
        is_waiting=False,
        offered=_offered(view, question.models),
        prompts=[*question.prompts, ""][:MAX_PROMPTS],
        max_models=MAX_MODELS,
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

"""What the playground asks: models, prompts and settings, from a form, an address, a job or the rows of a file."""

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.dashboard.forms import Form
from api.dashboard.view import View
from api.routes.datasets import preview_dataset
from shared.db.owned import get_owned
from shared.errors import Invalid, ServiceError
from shared.jobs import service as jobs
from shared.jobs.models import Job

MAX_MODELS, MAX_PROMPTS, MAX_CHARACTERS, MAX_NAME = 4, 8, 20_000, 256
ROWS = 3  # of a file that are asked unless another number is chosen
LABELS = {
    "model": "Model",
    "prompt": "Prompt",
    "system": "System prompt",
    "temperature": "Temperature",
    "max_tokens": "Most tokens",
    "rows": "Rows",
}
_LISTS = {"model", "prompt"}


def _written(pattern: str, sentence: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(sentence)
        return text

    return AfterValidator(check)


_Name = Annotated[str, Field(max_length=MAX_NAME), _written(r"[^\0]*", "A NUL is in no model's name")]
_Text = Annotated[str, Field(max_length=MAX_CHARACTERS)]


class Typed(BaseModel):
    """The fields of the form, which are also the parameters of the page's address."""

    model_config = ConfigDict(extra="ignore")

    model: list[_Name] = []
    prompt: list[_Text] = []
    system: _Text = ""
    temperature: Annotated[
        str,
        _written(r"([01](\.\d{1,2})?|2(\.0{1,2})?)?", "A number from 0 to 2, such as 0.75"),
    ] = ""
    max_tokens: Annotated[str, _written(r"([1-9]\d{0,4})?", "A whole number from 1 to 99999")] = ""

    @classmethod
    def of(cls, form: Form) -> Self:
        """Check what was typed; an empty field is one that was not sent. Raises `ValidationError`."""
        given = {name: texts if name in _LISTS else texts[0] for name, texts in form.values.items() if any(texts)}
        return cls.model_validate(given)


class Address(Typed):
    """`job` offers its models, and asks rows of its validation file; `file` adds rows of that one to the prompts."""

    job: Annotated[str, Field(max_length=64)] = ""
    file: Annotated[str, Field(max_length=64)] = ""
    rows: Annotated[int, Field(ge=1, le=MAX_PROMPTS)] = ROWS


@dataclass(frozen=True)
class Question:
    """What is asked; empty `temperature` and `max_tokens` leave the choice to the provider."""

    models: list[str]
    prompts: list[str]
    system: str = ""
    temperature: str = ""
    max_tokens: str = ""

    @classmethod
    def as_typed(cls, form: Form) -> "Question":
        """What is in a form, right or wrong, to be shown again."""
        fields = {name: form.all(name)[:1] or [""] for name in ("system", "temperature", "max_tokens")}
        prompts = [each for each in form.all("prompt") if each.strip()]
        return cls(form.all("model"), prompts, **{name: texts[0] for name, texts in fields.items()})

    @classmethod
    def of(cls, typed: Typed) -> "Question":
        """Raises `Invalid` for more models or prompts than one page asks."""
        models = typed.model
        prompts = [each for each in typed.prompt if each.strip()]
        if len(models) > MAX_MODELS or len(prompts) > MAX_PROMPTS:
            raise Invalid(
                f"Choose up to {MAX_MODELS} models and {MAX_PROMPTS} prompts: {len(models)} and {len(prompts)} are"
            )
        return cls(models, prompts, typed.system, typed.temperature, typed.max_tokens)

    def body(self, model: str, prompt: str) -> dict[str, Any]:
        opening = [{"role": "system", "content": self.system}] if self.system else []
        body: dict[str, Any] = {"model": model, "messages": [*opening, {"role": "user", "content": prompt}]}
        if self.temperature:
            body["temperature"] = float(self.temperature)
        if self.max_tokens:
            body["max_tokens"] = int(self.max_tokens)
        return body


def of_address(view: View, address: Address) -> Question:
    """Return what an address asks; its job and its file add to it."""
    question = Question.of(address)
    if address.job:
        view.caller.check("jobs:read")
        job = get_owned(view.session, Job, address.job, view.caller.project_id)
        question = replace(question, models=_models_of(view, job, question.models))
        if job.validation_file and not (address.file or question.prompts) and view.caller.may("files:read"):
            with suppress(ServiceError, OSError):  # it may be deleted; then there is nothing to ask
                question = _asking_rows(view, question, job.validation_file, address.rows)
    if address.file:
        view.caller.check("files:read")
        question = _asking_rows(view, question, address.file, address.rows)
    return question


def _models_of(view: View, job: Job, chosen: list[str]) -> list[str]:
    """The models to compare of a job: those chosen, the base, the tuned one, its newest checkpoints."""
    made = [job.fine_tuned_model] if job.fine_tuned_model else []
    saved = jobs.list_checkpoints(view.session, job.project_id, job.id, after=None, limit=MAX_MODELS)
    alive = [each.model for each in saved if each.expired_at is None]
    return list(dict.fromkeys([*chosen, job.model, *made, *alive]))[:MAX_MODELS]


def _asking_rows(view: View, question: Question, file_id: str, count: int) -> Question:
    """Ask the last question of each of a file's first rows too, with the system prompt of the first if there is none.

    Raises `Invalid` if there is no room for them.
    """
    found = preview_dataset(view.caller, file_id, limit=count)
    asked = [[each.text for each in example.messages if each.role == "user"][-1:] for example in found]
    system = [each.text for example in found[:1] for each in example.messages if each.role in {"system", "developer"}]
    prompts = list(dict.fromkeys([*question.prompts, *(text[:MAX_CHARACTERS] for texts in asked for text in texts)]))
    if len(prompts) > MAX_PROMPTS:
        room = MAX_PROMPTS - len(question.prompts)
        raise Invalid(f"There is room for {room} more prompts: ask fewer rows, or empty some prompts", param="rows")
    return replace(question, prompts=prompts, system=question.system or "".join(system[:1])[:MAX_CHARACTERS])

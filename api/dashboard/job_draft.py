"""A new job as the texts of a form: read from an address or a form, filled from another job, made into a request."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from api.http.body_guard import find_unstorable, is_too_deep
from shared.errors import Invalid
from shared.jobs.models import Job, Priority
from shared.jobs.schemas import JobCreate
from shared.json_fields import MAX_DEPTH
from shared.providers.options import Choice, Flag, Modules, Number, Option

METHODS = ("supervised", "dpo", "reinforcement")
HYPERPARAMETERS = ("n_epochs", "batch_size", "learning_rate_multiplier", "beta")
FIELDS = (
    *("training_file", "validation_file", "model", "method", *HYPERPARAMETERS, "grader"),
    *("suffix", "seed", "metadata", "priority", "provider", "deploy_on_success", "from_job"),
)
OPTION = "option."  # before the name of a provider option, in the name of its field
MAX_CHARACTERS = 20_000
EPOCHS = range(1, 51)  # as in the API
UNSTORABLE = re.compile("[\\0\\ud800-\\udfff]")

Draft = dict[str, str]


def read(given: Mapping[str, Any]) -> Draft:
    """Return all fields; those that are not given are empty."""
    options = [name for name in given if name.startswith(OPTION)][:16]
    return {name: str(given.get(name, "")).strip()[:MAX_CHARACTERS] for name in (*FIELDS, *options)}


def check_storable(draft: Draft) -> None:
    """Raise `Invalid` for a text that Postgres cannot store, with its field as `param`."""
    for name, text in draft.items():
        if UNSTORABLE.search(text):
            raise Invalid("It contains a NUL or half of a surrogate pair: such text cannot be stored", param=name)


def storable(draft: Draft) -> Draft:
    """Return the fields as they can be looked up and shown."""
    return {name: UNSTORABLE.sub("\ufffd", text) for name, text in draft.items()}


def epochs(draft: Draft) -> int | None:
    """Return how many epochs are asked for; None if the provider chooses. Raises `Invalid`."""
    if draft["n_epochs"] in {"", "auto"}:
        return None
    number = _number(draft["n_epochs"])
    if number not in EPOCHS:
        raise Invalid(f"Epochs must be a whole number from {EPOCHS[0]} to {EPOCHS[-1]}", param="n_epochs")
    return int(number)


def of_job(job: Job) -> Draft:
    """Return the fields of a job that shall be like this one."""
    method = job.method or {"type": "supervised"}
    block = method.get(method["type"]) or {}
    asked = block.get("hyperparameters") or {}
    known: dict[str, Any] = {
        "training_file": job.training_file,
        "validation_file": job.validation_file,
        "model": job.model,
        "method": method["type"],
        **{name: asked.get(name) for name in HYPERPARAMETERS},
        "grader": json.dumps(block["grader"], ensure_ascii=False) if "grader" in block else None,
        "suffix": job.suffix,
        "metadata": "\n".join(f"{name}={value}" for name, value in (job.labels or {}).items()),
        "priority": Priority(job.priority).name.lower(),
        "provider": job.provider,
        "deploy_on_success": _text(job.deploy_on_success) if job.deploy_on_success is not None else None,
        "from_job": job.id,
        **{OPTION + name: _text(value) for name, value in (job.provider_options or {}).items()},
    }
    return read({name: value for name, value in known.items() if value is not None})


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def request(draft: Draft, options: Mapping[str, Option], like: Job | None) -> JobCreate:
    """Return the request. What a form has no field for is as in `like`. Raises `Invalid` with the field as `param`."""
    body: dict[str, Any] = {
        name: draft[name] or None
        for name in ("training_file", "validation_file", "model", "suffix", "priority", "provider")
    }
    body["seed"] = _number(draft["seed"])
    body["metadata"] = _metadata(draft["metadata"])
    body["method"] = _method(draft, like)
    given = {name: draft.get(OPTION + name, "") for name in options}
    body["provider_options"] = {name: _option(options[name], text) for name, text in given.items() if text} or None
    body["integrations"] = like.integrations if like else None
    body["deploy_on_success"] = _truth(draft["deploy_on_success"])
    try:
        return JobCreate.model_validate({name: value for name, value in body.items() if value is not None})
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        param = _field(found[0])
        texts = [each["msg"].removeprefix("Value error, ") for each in found if _field(each) == param]
        raise Invalid(" or ".join(dict.fromkeys(texts)), param=param) from None


def _field(error: Any) -> str:
    return next((str(each) for each in reversed(error["loc"]) if each in FIELDS), str(error["loc"][0]))


def _method(draft: Draft, like: Job | None) -> dict[str, Any]:
    type = draft["method"] if draft["method"] in METHODS else "supervised"
    same = like.method if like and like.method and like.method["type"] == type else {}
    block = dict(same.get(type) or {})
    others = {name: value for name, value in (block.get("hyperparameters") or {}).items() if name not in FIELDS}
    asked = {name: _number(draft[name]) for name in HYPERPARAMETERS if draft[name]}
    if type != "dpo":
        asked.pop("beta", None)
    block["hyperparameters"] = {**others, **asked}
    if type == "reinforcement" and draft["grader"]:
        block["grader"] = _grader(draft["grader"])
    return {"type": type, type: block} if type != "reinforcement" or "grader" in block else {"type": type}


def _grader(text: str) -> Any:
    """Read it as the API reads a body."""
    content = text.encode()
    if is_too_deep(content):
        raise Invalid(f"It is nested deeper than {MAX_DEPTH} levels", param="grader")
    if (position := find_unstorable(content)) is not None:
        sentence = f"It contains a NUL or half of a surrogate pair at byte {position}: such text cannot be stored"
        raise Invalid(sentence, param="grader")
    try:
        return json.loads(content)
    except ValueError as error:
        raise Invalid(f"It is not JSON: {error}", param="grader") from None


def _number(text: str) -> Any:
    """A number if it looks like one, else the text as it is, which is then judged by the field's own rule."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text or None


def _truth(text: str) -> Any:
    """True or false if it says so, else the text as it is, which is then judged by the field's own rule."""
    return {"true": True, "false": False}.get(text, text or None)


def _metadata(text: str) -> dict[str, str] | None:
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, value = line.partition("=")
        if not equals:
            raise Invalid("Write one name=value on each line", param="metadata")
        found[name.strip()] = value.strip()
    return found or None


def _option(option: Option, text: str) -> Any:
    match option:
        case Number():
            return _number(text)
        case Flag():
            return _truth(text)
        case Choice():
            return next((each for each in option.known if str(each) == text), text)
        case Modules():
            return text if text == "all-linear" else [each.strip() for each in text.split(",")]
    return text


def kind_of(option: Option) -> str:
    """Return which input a form has for it: `choice`, `flag`, `number` or `text`."""
    kinds = {Choice: "choice", Flag: "flag", Number: "number"}
    return next((name for kind, name in kinds.items() if isinstance(option, kind)), "text")


def field_of(param: str | None, draft: Draft) -> str | None:
    """Return the form's field that an error of a request is about; None if it is about the request as a whole."""
    if param is None:
        return None
    last = param.rsplit(".", 1)[-1]
    if param.startswith("provider_options."):
        return OPTION + last
    return next((each for each in reversed(param.split(".")) if each in draft), None)

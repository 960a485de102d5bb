"""Reads what a question asks for: which model answers, and which others may answer in its place."""

from typing import Annotated, Any

import msgspec

from api.chat.judging import FALLBACKS, judge
from shared.errors import Invalid
from shared.providers.dialects import Endpoint

MAX_TEXTS = 100_000  # names of fields among them; they, not the bytes, are what takes time to judge
MAX_FALLBACKS, MAX_FALLBACK_BYTES = 100, 64 << 10
MAX_NAME_LENGTH, MAX_PROVIDER_BYTES = 256, 400

NO_MODEL_YET = (
    "`model` is null. If it is the `fine_tuned_model` of a job: the job has no tuned model yet. It gets one when it "
    "has succeeded; retrieve the job again until then, or receive the webhook `fine_tuning.job.succeeded`"
)


class Asked(msgspec.Struct):
    """What we need to know of a question. The rest is between the caller and the provider.

    `provider`: whose account is asked; None where the caller leaves that to us. It is never passed on. `fallbacks` are
    models that may answer in place of `model`, each with the field it is in.
    """

    model: str
    provider: str | None
    fallbacks: list[tuple[str, str]]


class _WithModel(msgspec.Struct):
    model: Annotated[str, msgspec.Meta(max_length=MAX_NAME_LENGTH)]


def decode(body: bytes, endpoint: Endpoint, deployment: str | None) -> tuple[Asked, bytes]:
    """Return what is asked, and the body to send: each field once, so that the provider reads what we judge.

    `deployment` is the model that an Azure client has put into the path, which counts there. Raises `Invalid`.
    """
    _check_size(body)
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        if deployment is not None:
            fields["model"] = msgspec.Raw(msgspec.json.encode(deployment))
        if bytes(fields.get("model", b"")) == b"null":
            raise Invalid(NO_MODEL_YET, param="model")
        if "model" not in fields:
            raise Invalid("`model` is missing: name the model to ask", code="missing_required_parameter", param="model")
        provider = _provider(fields.pop("provider", None))
        judged = judge(fields, endpoint)
        fallbacks = {name: _fallbacks(name, bytes(fields[name])) for name in FALLBACKS if name in judged}
        once = msgspec.json.encode({**judged, **fallbacks})
        model = msgspec.json.decode(once, type=_WithModel).model
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The body must be a JSON object with a `model`: {error}", param="model") from None
    return Asked(
        model, provider, [(field, _name(field, each)) for field in fallbacks for each in fallbacks[field]]
    ), once


def _check_size(body: bytes) -> None:
    """Each text begins with a quote that no backslash precedes, and most end with one."""
    if body.count(b'"') - body.count(b'\\"') > 2 * MAX_TEXTS:
        raise Invalid(f"A question may consist of at most {MAX_TEXTS:,} texts, names of fields among them: send less")


def with_model(body: bytes, name: str) -> bytes:
    """Return a body of `decode` in which the model has this name."""
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({**fields, "model": name})


def _provider(value: msgspec.Raw | None) -> str | None:
    found = msgspec.json.decode(value) if value is not None and len(bytes(value)) <= MAX_PROVIDER_BYTES else value
    if not isinstance(found, str | None):
        raise Invalid("provider must be the name of one of the project's providers", param="provider")
    return found


def _fallbacks(field: str, value: bytes) -> list[Any]:
    """Decoded, so that nothing in them is there twice."""
    found = msgspec.json.decode(value) if len(value) <= MAX_FALLBACK_BYTES else None
    if not isinstance(found, list) or len(found) > MAX_FALLBACKS:
        raise Invalid(f"{field} must be a list of at most {MAX_FALLBACKS} models", param=field)
    return found


def _name(field: str, each: Any) -> str:
    """A model's name, which may be the `model` of an object. Raises `Invalid`."""
    name = each["model"] if isinstance(each, dict) and set(each) == {"model"} else each
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_LENGTH:
        raise Invalid(f"{field} must have names of models, or objects with a `model`", param=field)
    return name

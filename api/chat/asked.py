"""Reads what a chat asks for: which model answers, and which other models the provider would resolve."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec

from shared.errors import Invalid

MAX_TEXTS = 1000  # beside the conversation
MAX_NAME_LENGTH = 256
# What is said, and what is called by names of its own: here a name of a model is a word like others.
_CONVERSATION = {
    *("messages", "tools", "functions", "tool_choice", "function_call", "response_format", "metadata", "user", "stop"),
    *("prompt", "input", "prediction", "logit_bias", "audio", "safety_identifier", "prompt_cache_key"),
}
_FALLBACKS = {"models", "fallbacks", "fallback_models"}

NO_MODEL_YET = (
    "`model` is null. If it is the `fine_tuned_model` of a job: the job has no tuned model yet. It gets one when it "
    "has succeeded; retrieve the job again until then, or receive the webhook `fine_tuning.job.succeeded`"
)


class Asked(msgspec.Struct):
    """What we need to know of a chat. The rest is between the caller and the provider.

    `fallbacks` are models that may answer in place of `model`. `beside` are other texts, which a provider may read as
    names; both come with the field they are in.
    """

    model: str
    fallbacks: list[tuple[str, str]]
    beside: list[tuple[str, str]]


class _WithModel(msgspec.Struct):
    model: Annotated[str, msgspec.Meta(max_length=MAX_NAME_LENGTH)]


def decode(body: bytes, deployment: str | None) -> tuple[Asked, bytes]:
    """Return what is asked, and the body to send: each field once, so that the provider reads the `model` we judge.

    `deployment` is the model that an Azure client has put into the path, which counts there.
    """
    try:
        fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        if [name for name in fields if name.lower() == "model"] not in ([], ["model"]):
            raise Invalid("`model` is written in more than one way", param="model")
        if deployment is not None:
            fields["model"] = msgspec.Raw(msgspec.json.encode(deployment))
        if bytes(fields.get("model", b"")) == b"null":
            raise Invalid(NO_MODEL_YET, param="model")
        others = {name: msgspec.json.decode(fields[name]) for name in fields if name.lower() not in _CONVERSATION}
        nested = {name: value for name, value in others.items() if isinstance(value, dict | list)}
        once = msgspec.json.encode({**fields, **nested})  # so that nested fields are there once, too
        model = msgspec.json.decode(once, type=_WithModel).model
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"The body must be a JSON object with a `model`: {error}", param="model") from None
    return Asked(model, *_names(others)), once


def _names(fields: Mapping[str, Any]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    fallbacks, beside = list[tuple[str, str]](), list[tuple[str, str]]()
    for field, value in fields.items():
        if field.lower() == "model":
            continue
        is_fallback = field.lower() in _FALLBACKS
        texts = [(field, text) for text in _texts(value, not is_fallback) if 0 < len(text) <= MAX_NAME_LENGTH]
        fallbacks += texts if is_fallback else []
        beside += texts if not is_fallback else []
        if len(fallbacks) + len(beside) > MAX_TEXTS:
            raise Invalid(f"The body has more than {MAX_TEXTS} texts beside the messages", param=field)
    return fallbacks, beside


def _texts(value: Any, with_names: bool) -> Iterator[str]:
    """All texts in JSON but those of a conversation, if asked for with the names of fields."""
    pending = [value]
    while pending:
        match pending.pop():
            case str(text):
                yield text
            case dict(fields):
                pending += fields if with_names else ()
                pending += [each for name, each in fields.items() if name.lower() not in _CONVERSATION]
            case list(items):
                pending += items

"""Judges whether a base model, a method and a file's format go together, and whether the model can still be trained.

The create of a job, the estimate and `tunery datasets check` all use these functions, so that they never disagree.
"""

from datetime import UTC, date, datetime
from typing import Literal, NamedTuple

from shared.datasets.validation.rules.formats import CHAT
from shared.datasets.validation.rules.limits import rules

SHUTDOWN_NOTICE_DAYS = 90  # a model that is trained today should be usable for longer than this


class Misfit(NamedTuple):
    """`code` is a finding's, which says whether it is an error; `about` is a parameter of a job's create."""

    code: str
    about: Literal["model", "method", "training_file"]
    message: str


def today() -> date:
    return datetime.now(UTC).date()


def published_shutdown(model: str, provider: str) -> date | None:
    """The day on which OpenAI stops a base model, by `rules.json`; other providers have dates of their own."""
    base = rules().model(model) if provider == "openai" else None
    return base.retires if base else None


def of_model(model: str, method: str | None, shutdown: date | None) -> list[Misfit]:
    """What is wrong with a model, given the day on which it is stopped, and with tuning it by this method."""
    base, found = rules().model(model), []
    name = base.name if base else model[:64]
    if shutdown is not None and shutdown <= today():
        found.append(Misfit("model_retired", "model", f"The provider stopped {name} on {shutdown}"))
    elif shutdown is not None and (days := (shutdown - today()).days) <= SHUTDOWN_NOTICE_DAYS:
        sentence = f"The provider stops {name} on {shutdown}, in {days} days, and what was tuned from it"
        found.append(Misfit("model_stops_soon", "model", sentence))
    if base and method and method not in base.methods:
        known = " and ".join(base.methods)
        sentence = f"{base.name} can be tuned by {known}, but not by {method}"
        found.append(Misfit("method_not_supported", "method", sentence))
    return found


def of_examples(examples: int, method: str, provider: str, dialect: str) -> list[Misfit]:
    """Whether a file has too few examples for a provider of this dialect, or too many."""
    limits, found = rules().limits(dialect), list[Misfit]()
    most = limits.max_examples.get(method)
    if examples < limits.min_examples:
        sentence = f"The file has {examples:,} examples, but {provider} wants at least {limits.min_examples:,}"
        found.append(Misfit("invalid_n_examples", "training_file", sentence))
    if most is not None and examples > most:
        sentence = f"The file has {examples:,} examples, but {provider} takes at most {most:,}"
        found.append(Misfit("too_many_examples", "training_file", sentence))
    return found


def of_size(examples: int, image_examples: int, bytes: int, method: str, provider: str, dialect: str) -> list[Misfit]:
    """What of a file goes beyond the limits of a provider of this dialect, or falls short of them."""
    limits, found = rules().limits(dialect), list[Misfit]()
    if bytes > limits.file_bytes:
        sentence = f"The file has {bytes:,} bytes, but {provider} takes at most {limits.file_bytes:,}"
        found.append(Misfit("file_too_large", "training_file", sentence))
    found += of_examples(examples, method, provider, dialect)
    if image_examples > limits.max_image_examples:
        sentence = f"{image_examples:,} examples have images; {provider} takes at most {limits.max_image_examples:,}"
        found.append(Misfit("too_many_image_examples", "training_file", sentence))
    return found


def of_file(format: str | None, model: str | None, method: str | None) -> Misfit | None:
    """What is wrong with the format of a file for this model and method; each may be unknown, and then all fit.

    Chat examples are not refused for reinforcement: examples of several turns look the same.
    """
    base = rules().model(model) if model else None
    methods = [method] if method else base.methods if base else list(rules().methods)
    readable = {each for one in methods for each in rules().methods.get(one, [])}
    if base:
        readable &= set(base.formats)
    if not format or not readable or format in readable or (format == CHAT and methods == ["reinforcement"]):
        return None
    reader = " with ".join(filter(None, (model if base else None, f"the method {method}" if method else None)))
    needed = " or ".join(sorted(readable))
    sentence = f"The file has {format} examples, but {reader} needs {needed} examples"
    return Misfit("wrong_format_for_method", "training_file", sentence)

"""Refuses query parameters and JSON keys that a route does not have: ignored, they would answer another question."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any, get_args

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request

from shared.errors import Invalid
from shared.providers import options

PROVIDER_OPTIONS = "provider_options"
CODE = "unknown_parameter"
API_VERSION = "api-version"
MAX_NAMED = 10  # keys of one request that a refusal names; a body may have thousands
MAX_DEPTH = 3  # of the objects below in which a similar key is looked for
MAX_LISTED = 16  # parameters of a route that a refusal lists when none resembles the unknown one
# Other text is not repeated: a caller may have put a secret there, and a long word with digits looks like one.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}(?:\[[A-Za-z0-9_]{0,64}\])?")
_BETWEEN_WORDS = re.compile(r"[_\[\]]")
MAX_WORD_WITH_DIGITS = 12  # characters
_CAMEL_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def check_query(request: Request) -> None:
    """Raises `Invalid` if the query has a parameter that the route of this request does not declare."""
    if not request.scope["query_string"]:
        return
    route = request.scope["route"]
    if not isinstance(route, APIRoute) or not route.include_in_schema:
        return  # such as an endpoint of OpenAI's that we do not have: its answer says so, whatever the query
    known = {each.alias for each in _query_fields(route.dependant)}
    objects = {each["name"] for each in (route.openapi_extra or {}).get("parameters", ())}  # name[key]=value
    names = [name for name in request.query_params if name not in known | objects]
    unknown = [name for name in names if not (name.endswith("]") and name.partition("[")[0] in objects)]
    if unknown:
        raise Invalid(sentence("query parameter", unknown, known | objects), code=CODE, param=shown(unknown[0]))


def _query_fields(dependant: Dependant) -> Iterator[Any]:
    yield from dependant.query_params
    for each in dependant.dependencies:
        yield from _query_fields(each)


def shown(name: str) -> str | None:
    """Return a name that can be repeated to the caller, or None."""
    if name == API_VERSION:
        return name
    words = _BETWEEN_WORDS.split(name)
    is_name = _NAME.fullmatch(name) and all(each.isalpha() or len(each) <= MAX_WORD_WITH_DIGITS for each in words)
    return name if is_name else None


def sentence(
    kind: str, names: Iterable[str], known: Collection[str], *, deeper: Sequence[str] = (), inside: str | None = None
) -> str:
    """Name all unknown keys, each with the known one that it resembles.

    `kind` is the noun for such a key; `inside` is the path of the object that has it, None for the whole body or query.
    `deeper` are the paths of keys below that object, such as `hyperparameters.n_epochs`.
    """
    unknown = list(dict.fromkeys(names))
    named = [f"`{name}`{_hint(name, known, deeper)}" for name in islice(filter(shown, unknown), MAX_NAMED)]
    if len(named) < len(unknown):
        named.append(f"{len(unknown) - len(named)} more" if named else f"a name that is no {kind}")
    listed = f". Known here: {', '.join(sorted(known))}" if known and len(known) <= MAX_LISTED else ""
    without_hint = any(each[-1] == "`" for each in named)
    where = f" in {inside}" if inside else ""
    plural = "s" if len(unknown) > 1 else ""
    return f"Unknown {kind}{plural}{where}: {', '.join(named)}{listed if without_hint else ''}"


def _hint(name: str, known: Collection[str], deeper: Sequence[str]) -> str:
    if name == API_VERSION:
        return " (Azure's: it is ignored with the header api-key, and below /openai/v1)"
    snake = _CAMEL_HUMP.sub("_", name).lower()
    if PROVIDER_OPTIONS in known and snake in {_CAMEL_HUMP.sub("_", each).lower() for each in options.NAMES}:
        return f" (an option of some providers: send it inside `{PROVIDER_OPTIONS}`)"
    by_lower = {each.lower(): each for each in known}
    by_last = {each.rpartition(".")[2].lower(): each for each in reversed(deeper)}
    for keys, likeness in ((by_lower, 0.7), (by_last, 0.8), (by_lower, 0.6)):
        if near := get_close_matches(snake, keys, n=1, cutoff=likeness):
            return f" (did you mean `{keys[near[0]]}`?)"
    return ""


def keys_at(annotation: Any, location: Sequence[int | str]) -> set[str]:
    """Return the keys of the object at `location` in a body of this type. Names of types in it are passed over."""
    return {name for name, _ in _fields(_models_at(annotation, location))}


def paths_below(annotation: Any, location: Sequence[int | str]) -> list[str]:
    """Return the paths of the keys that are deeper than those of `keys_at`, the shortest first."""
    found: list[str] = []
    level = [(name, list(_models(inner))) for name, inner in _fields(_models_at(annotation, location))]
    for _ in range(MAX_DEPTH):
        level = [(f"{path}.{name}", list(_models(inner))) for path, models in level for name, inner in _fields(models)]
        found += [path for path, _ in level]
    return found


def _models_at(annotation: Any, location: Sequence[int | str]) -> list[type[BaseModel]]:
    models = list(_models(annotation))
    for step in location:
        inner = [each for name, type_ in _fields(models) if step == name for each in _models(type_)]
        models = inner or models
    return models


def _fields(models: Iterable[type[BaseModel]]) -> Iterator[tuple[str, Any]]:
    """Yield the name on the wire and the type of each field."""
    for model in models:
        for name, field in model.model_fields.items():
            yield field.alias or name, field.annotation


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models of an optional, a union, a list or a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models(each)

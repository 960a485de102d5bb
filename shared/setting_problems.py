"""Says what is wrong with the environment in sentences that name the variable and never repeat a value."""

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import SettingsError

PREFIX = "TUNERY_"
# Read by `tunery` itself and by the tests.
OF_THE_COMMAND = {"TUNERY_STATE", "TUNERY_PG_BIN", "TUNERY_VALKEY", "TUNERY_WEBHOOK_URL", "TUNERY_TEST_"}
# Kubernetes sets such variables in each container for a Service whose name begins with `tunery`.
_OF_KUBERNETES = re.compile(r"\w+_SERVICE_(HOST|PORT)(_\w+)?|\w+_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?")
_ADDRESS_OF_KUBERNETES = re.compile(r"(tcp|udp|sctp)://")
WITHOUT_PREFIX = {"DATABASE_URL", "REDIS_URL", "OTEL_EXPORTER_OTLP_ENDPOINT", "SENTRY_DSN"}
_JSON_KINDS: dict[Any, str] = {tuple: "list", list: "list", dict: "object"}
HEADLINE = "The settings are not right; .env.example explains each of them."


class WrongSettings(SystemExit):
    """Ends the process with these sentences and code 1, wherever it reads its settings first, without a traceback."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join([HEADLINE, *(f"  {problem}" for problem in problems)]))
        self.problems = problems


def variables(model: type[BaseModel], prefix: str = PREFIX) -> dict[str, FieldInfo]:
    """The fields by the name of their variable; a nested model contributes those of its fields."""
    found: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= variables(field.annotation, f"{prefix}{name.upper()}__")
        else:
            found[str(field.validation_alias) if field.validation_alias else f"{prefix}{name.upper()}"] = field
    return found


def unknown(model: type[BaseModel], environ: Mapping[str, str]) -> list[str]:
    """A sentence for each variable and each secret file whose name begins with TUNERY_ and is no setting."""
    found = {**dict.fromkeys((file.name for file in _files(environ)), ""), **environ}
    strange = [name for name in found if _is_ours(name) and not _is_known(model, name, found[name])]
    return [_with_nearest(model, name) for name in sorted(strange)]


def _files(environ: Mapping[str, str]) -> list[Path]:
    folder = environ.get("TUNERY_SECRETS_DIR")
    return list(Path(folder).iterdir()) if folder and Path(folder).is_dir() else []


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX)


def _is_known(model: type[BaseModel], name: str, value: str) -> bool:
    name = name.upper()
    return (
        name in variables(model)
        or name.startswith(tuple(OF_THE_COMMAND))
        or _OF_KUBERNETES.fullmatch(name) is not None
        or _ADDRESS_OF_KUBERNETES.match(value) is not None
    )


def _with_nearest(model: type[BaseModel], name: str) -> str:
    nearest = get_close_matches(name.upper(), variables(model), n=1, cutoff=0)
    return f"{name} is not a setting. The nearest one is {nearest[0]}."


def explain(model: type[BaseModel], environ: Mapping[str, str], error: Exception) -> list[str]:
    """The error of a reading as sentences, one for each variable."""
    if isinstance(error, ValidationError):
        by_name = {_name_of(problem["loc"]): problem for problem in reversed(error.errors(include_input=False))}
        known = {
            name: problem
            for name, problem in by_name.items()
            if problem["type"] != "extra_forbidden" or _inside(problem["loc"])
        }
        return [_sentence(name, problem) for name, problem in reversed(known.items())]
    if bad_json := list(_not_json(model, environ)):
        return bad_json
    if isinstance(error, SettingsError):  # names a field or the folder, and repeats no value
        return [f"{error}."] if "parsing" in str(error) else [f"TUNERY_SECRETS_DIR: {error}."]
    reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
    return [f"TUNERY_SECRETS_DIR: a file of {environ.get('TUNERY_SECRETS_DIR')} cannot be read: {reason}."]


def _inside(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Where in the JSON of a list a problem is: the number of the item and the path in it; empty for the whole."""
    numbers = [index for index, part in enumerate(location) if isinstance(part, int)]
    return location[numbers[0] :] if numbers else ()


def _sentence(name: str, problem: Any) -> str:
    kind, inside = problem["type"], _inside(problem["loc"])
    if len(inside) > 1:
        text = {"missing": "is missing", "extra_forbidden": "is not known"}.get(kind, "is wrong")
        return f"{name}: `{inside[1]}` of item {int(inside[0]) + 1} {text}; .env.example shows one."
    if kind == "missing":
        return f"{name}: required, but not set."
    if kind in {"tuple_type", "dict_type", "model_type"}:
        return f"{name}: must be a JSON {'list' if kind == 'tuple_type' else 'object'}."
    if kind == "too_short":
        return f"{name}: must have at least {problem['ctx']['min_length']} item."
    if kind in {"ip_v4_network", "ip_v6_network"}:
        return f"{name}: must have ranges such as 10.0.0.0/8 or fd00::/8, with zeros behind the prefix."
    text = problem["msg"].removeprefix("Value error, ")
    text = re.sub(r"^Input should (not )?be ", r"must \1be ", text)
    return f"{name}: {text}."


def _name_of(location: tuple[int | str, ...]) -> str:
    outside = location[: len(location) - len(_inside(location))]
    parts = [str(part).upper() for part in outside if isinstance(part, str) and re.fullmatch("[A-Za-z_]+", part)]
    if parts == ["PROVIDER"]:
        return "TUNERY_PROVIDER__BASE_URL and TUNERY_PROVIDER__API_KEY"
    name = "__".join(parts)
    return name if name in WITHOUT_PREFIX else f"{PREFIX}{name}"


def _not_json(model: type[BaseModel], environ: Mapping[str, str]) -> Iterator[str]:
    """pydantic-settings names the field at most, not the variable; secret files have their own values."""
    for name, field in variables(model).items():
        value = environ.get(name) or _secret(environ, name)
        kind = _JSON_KINDS.get(get_origin(field.annotation))
        if kind is None or not value:
            continue
        try:
            json.loads(value)
        except ValueError:
            yield f"{name}: must be a JSON {kind}; .env.example shows one."


def _secret(environ: Mapping[str, str], name: str) -> str | None:
    files = [file for file in _files(environ) if file.name.upper() == name]
    try:
        return files[0].read_text().strip() if files else None
    except (OSError, UnicodeDecodeError):
        return None

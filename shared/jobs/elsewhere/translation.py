"""Carries a job over to another account: what was asked for there and means nothing here is left out, and said.

Only what a copy takes from its job is translated. What a request itself says is never changed: it is refused.
"""

from typing import Any

from shared.jobs.models import Job
from shared.jobs.schemas import JobCreate
from shared.projects.credentials import Account, capabilities_of
from shared.projects.models import Credential
from shared.providers import options
from shared.providers.capabilities import Capabilities
from shared.providers.dialects import Dialect


def carry_over(credential: Credential, asked: dict[str, Any], new: JobCreate, before: Job) -> list[str]:
    """Change the columns `asked` that `new` has not given but `before`, for this account. Return what was changed."""
    dialect = Account.of(credential).dialect
    able, changes = capabilities_of(credential), list[str]()
    unvalidated = asked["method"]["type"] not in able.validated_methods
    if new.provider_options is None and asked["provider_options"]:
        changes += _options(dialect, asked)
    if new.method is None:
        changes += _hyperparameters(able, asked)
        if credential.provider != before.provider:
            changes += _epochs(asked, before)
    if new.suffix is None and len(asked["suffix"] or "") > able.suffix_length:
        asked["suffix"] = asked["suffix"][: able.suffix_length] or None
        shorter = f"is cut to {asked['suffix']}" if asked["suffix"] else "is left out: no suffix is taken"
        changes.append(f"suffix {shorter}")
    if new.seed is None and not able.takes_seed and credential.provider != before.provider:
        changes.append("seed is left out: none is taken")
    if new.integrations is None and asked["integrations"]:
        kept = [each for each in asked["integrations"] if each["type"] in able.integrations]
        if kept != asked["integrations"]:
            changes.append("integrations that the provider has not are left out")
        asked["integrations"] = kept or None
    if new.validation_file is None and asked["validation_file"] is not None and unvalidated:
        asked["validation_file"] = None
        changes.append("validation_file is left out: none is taken")
    return changes


def _epochs(asked: dict[str, Any], before: Job) -> list[str]:
    """What `auto` comes to is each provider's own: the copy trains for as long as the job did, if that is known."""
    given = (asked["method"].get(asked["method"]["type"]) or {}).get("hyperparameters") or {}
    if given.get("n_epochs", "auto") != "auto":
        return []
    taken = before.hyperparameters.get("n_epochs")
    if not isinstance(taken, int):
        return ["n_epochs stays auto, which may come to another number there"]
    _set(asked, {**given, "n_epochs": taken})
    return [f"n_epochs is {taken}, as auto came to for the job: it may come to another number there"]


def _set(asked: dict[str, Any], hyperparameters: dict[str, Any]) -> None:
    type = asked["method"]["type"]
    block = asked["method"].get(type) or {}
    asked["method"] = {**asked["method"], type: {**block, "hyperparameters": hyperparameters}}
    asked["hyperparameters"] = {name: hyperparameters.get(name, "auto") for name in asked["hyperparameters"]}


def _options(dialect: Dialect, asked: dict[str, Any]) -> list[str]:
    kept = {
        name: value
        for name, value in asked["provider_options"].items()
        if options.find_problem(dialect, {name: value}) is None
    }
    changes = [
        f"provider_options.{name} is left out: a provider that speaks {dialect} has no such option"
        for name in asked["provider_options"]
        if name not in kept
    ]
    asked["provider_options"] = kept or None
    return changes


def _hyperparameters(able: Capabilities, asked: dict[str, Any]) -> list[str]:
    type = asked["method"]["type"]
    block = asked["method"].get(type) or {}
    given = block.get("hyperparameters") or {}
    kept = {name: value for name, value in given.items() if value == "auto" or name in able.hyperparameters}
    if kept == given:
        return []
    _set(asked, kept)
    return [
        f"{name} is left out, and what the provider takes by itself counts: {given[name]} means something else there"
        for name in given
        if name not in kept
    ]

"""What an account of some kind of provider has besides its address and its key, and where Azure's accounts log in."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.providers.dialects import Dialect
from shared.providers.options import Known, Option, Segment, find_problem
from shared.setting_types import HttpUrl

_AZURE: Mapping[str, Option] = dict.fromkeys(
    ("tenant_id", "client_id", "subscription_id", "resource_group", "account"), Segment()
)
ACCOUNT_OPTIONS: Known = {Dialect.AZURE: _AZURE}
"""`options` of a credential: of those of its dialect it has all or none."""


class AzureSettings(BaseModel):
    """Only the operator names them: an application's secret goes to the first, and its tokens to the second."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    login_url: HttpUrl = "https://login.microsoftonline.com"
    management_url: HttpUrl = "https://management.azure.com"


def problem_of(dialect: Dialect, given: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the option that an account may not have or must have, and a sentence about it, or None."""
    if (problem := find_problem(dialect, given, ACCOUNT_OPTIONS)) is not None:
        return problem.name, problem.sentence
    known = ACCOUNT_OPTIONS.get(dialect, {})
    missing = [name for name in known if given and name not in given]
    return (missing[0], f"is missing: give all of {', '.join(known)}, or none") if missing else None

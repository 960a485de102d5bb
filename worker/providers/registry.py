"""Gives out the client of a credential: one per account and version of its key, kept between calls.

To make a client reads the trusted certificates and opens new connections, which costs more than a call.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from shared.jobs.models import JobStatus
from shared.projects.credentials import Account
from shared.projects.models import Credential
from shared.providers.dialects import Dialect
from shared.security.secrets import CannotUnseal
from shared.settings import get_settings
from worker.providers.azure.client import AzureProvider
from worker.providers.errors import ProviderError
from worker.providers.fireworks import parsing as fireworks
from worker.providers.fireworks.client import FireworksProvider
from worker.providers.mantle.client import MantleProvider
from worker.providers.measured import measured
from worker.providers.nebius.client import NebiusProvider
from worker.providers.openai import parsing
from worker.providers.openai.client import OpenAIProvider
from worker.providers.protocol import Provider
from worker.providers.together.client import TogetherProvider
from worker.providers.together.parsing import STATUSES as TOGETHER_STATUSES
from worker.providers.trainer.client import TrainerProvider

MAX_KEPT_CLIENTS = 256


@dataclass(frozen=True)
class Entry:
    """`client` makes the client of an account, with a time-out for each call and with `statuses`.

    `statuses` translates the provider's words for a status, in its answers and in `Job.provider_status`.
    """

    client: Callable[[Account, timedelta, Mapping[str, JobStatus]], Provider]
    statuses: Mapping[str, JobStatus]


PROVIDERS: Mapping[Dialect, Entry] = {
    Dialect.OPENAI: Entry(OpenAIProvider, parsing.STATUSES),
    Dialect.AZURE: Entry(AzureProvider, parsing.STATUSES),
    Dialect.TRAINER: Entry(TrainerProvider, parsing.STATUSES),
    Dialect.MANTLE: Entry(MantleProvider, parsing.STATUSES),
    Dialect.NEBIUS: Entry(NebiusProvider, parsing.STATUSES),
    Dialect.FIREWORKS: Entry(FireworksProvider, fireworks.STATUSES),
    Dialect.TOGETHER: Entry(TogetherProvider, TOGETHER_STATUSES),
}


@lru_cache(maxsize=MAX_KEPT_CLIENTS)
def _client(account: Account) -> Provider:
    """A new key raises `Account.key_version`, so the account differs and the cache makes a new client."""
    entry = PROVIDERS[account.dialect]
    return measured(entry.client(account, get_settings().provider.timeout, entry.statuses), account)


def get_provider(credential: Credential) -> Provider:
    """The client of this account. Raises `ProviderError` if it was deleted, or its key cannot be read."""
    if credential.deleted_at is not None:
        raise ProviderError(f"the credential {credential.id} has been deleted", "credential_deleted", retryable=False)
    if credential.project_id is None and credential.base_url != get_settings().provider.base_url:
        raise ProviderError(
            f"the provider at {credential.base_url} is no longer the one that this installation is configured for",
            "provider_not_configured",
            retryable=True,
        )
    try:
        return _client(Account.of(credential))
    except (CannotUnseal, LookupError) as error:
        raise ProviderError(f"{credential.id}: {error}", "credential_unreadable", retryable=True) from None


def status_of(credential: Credential, provider_status: str) -> JobStatus | None:
    """What a provider's word for a status means; None if it is unknown."""
    return PROVIDERS[Account.of(credential).dialect].statuses.get(provider_status)

"""The far side: one client per account and version of its key, kept."""

from functools import lru_cache

from shared.projects.credentials import Account
from shared.projects.models import Credential
from shared.security.secrets import NoKeyFits
from shared.settings import get_settings
from worker.providers.errors import ProviderError
from worker.providers.openai import Provider

MOST_KEPT = 256


@lru_cache(maxsize=MOST_KEPT)
def _client(account: Account) -> Provider:
    """A new key makes another account of it, so that no client goes on with the old one."""
    return Provider(account, get_settings().provider.timeout)


def get_provider(credential: Credential) -> Provider:
    """The client of this account. Raises `ProviderError` for one that has no key."""
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
    except (NoKeyFits, LookupError) as error:
        raise ProviderError(f"{credential.id}: {error}", "credential_unreadable", retryable=True) from None

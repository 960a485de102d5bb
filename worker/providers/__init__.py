"""The far side: one client per account, kept."""

from functools import cache

from shared.projects.models import Credential
from shared.settings import get_settings
from worker.providers.errors import ProviderError
from worker.providers.openai_wire import Provider


@cache
def _client(base_url: str) -> Provider:
    provider = get_settings().provider
    return Provider(base_url, provider.api_key.get_secret_value(), provider.timeout)


def get_provider(credential: Credential) -> Provider:
    """The client of this account. Raises `ProviderError` for one whose key is no longer configured."""
    if credential.base_url != get_settings().provider.base_url:
        raise ProviderError(
            f"the provider at {credential.base_url} is no longer the one that this installation is configured for",
            "provider_not_configured",
            retryable=True,
        )
    return _client(credential.base_url)

"""Asks a deployed model for an answer: providers say that one is ready before it is."""

from datetime import timedelta

from shared.projects.credentials import Account
from shared.providers.dialects import Endpoint
from worker.providers.openai import parsing
from worker.providers.openai.calls import JsonCalls, sdk_client
from worker.providers.openai.errors import provider_errors


def ask(account: Account, chat_model: str, timeout: timedelta) -> None:
    """Raises `ProviderError` unless the model answers a chat, of which one token is enough."""
    question = {"model": chat_model, "messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 1}
    with provider_errors(account.api_key(), account.tokens), sdk_client(account, timeout) as sdk:
        answer = parsing.json_object(JsonCalls(sdk).post(account.url_of(Endpoint.CHAT), question))
        if not isinstance(answer.get("choices"), list):
            raise ValueError("it has no `choices`")

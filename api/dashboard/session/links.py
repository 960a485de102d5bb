"""Codes that stand for an API key once, for some minutes: a link with one signs a browser in, and names no key.

They are kept in Redis, by their hash and sealed. Without Redis there are none, and keys are pasted instead.
"""

import json
from functools import cache
from hashlib import sha256
from secrets import token_urlsafe

from redis import Redis
from redis.exceptions import RedisError

from shared.broker.queue import REDIS_TIMEOUT_SECONDS
from shared.errors import BrokerUnavailable, Unauthorized
from shared.security.secrets import CannotUnseal, seal, unseal
from shared.settings import get_settings

VALID_SECONDS = 600
_CONTEXT = "sign-in link"


def create(secret: str, project_id: str | None) -> str:
    """Return a code for a key, and for the project in which an admin key shall work. Raises `BrokerUnavailable`."""
    code = token_urlsafe(24)
    sealed = seal(json.dumps([secret, project_id]), _CONTEXT)
    try:
        _redis(get_settings().redis_url).set(_name(code), sealed, ex=VALID_SECONDS)
    except RedisError:
        raise BrokerUnavailable("Links need Redis, which does not answer: paste an API key instead") from None
    return code


def use(code: str) -> tuple[str, str | None]:
    """Return the key and the project of a code, which is then used up. Raises `Unauthorized`, `BrokerUnavailable`."""
    try:
        sealed = _redis(get_settings().redis_url).getdel(_name(code))
        if isinstance(sealed, bytes):
            secret, project_id = json.loads(unseal(sealed.decode(), _CONTEXT))
            return secret, project_id
    except RedisError:
        raise BrokerUnavailable("Links need Redis, which does not answer: paste an API key instead") from None
    except CannotUnseal:
        pass
    sentence = "This link has been used, or is older than ten minutes: paste an API key, or make another link"
    raise Unauthorized(sentence, code="sign_in_link_used")


@cache
def _redis(url: str) -> Redis:
    """Return the client of this process, which keeps its connections."""
    return Redis.from_url(url, socket_connect_timeout=REDIS_TIMEOUT_SECONDS, socket_timeout=REDIS_TIMEOUT_SECONDS)


def _name(code: str) -> str:
    return f"sign-in/{sha256(code.encode()).hexdigest()}"

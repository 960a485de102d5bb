"""Tokens of Microsoft Entra ID: what an application sends for one, how the answer is read, and how long one is kept.

Api and worker fetch them with HTTP clients of their own.
"""

import re
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import urlsplit

RENEW_BEFORE_SECONDS = 300.0  # or half of its lifetime, if that is less
RETRY_SECONDS = 5.0  # after a renewal that failed, while the token of before still serves
MAX_ANSWER_BYTES = 64 << 10
MAX_KEPT = 1024
_TOKEN = re.compile(r"[!-~]{1,16384}")
_CLOUD = re.compile(r"\.azure\.(com|us|cn)$")


@dataclass(frozen=True)
class Application:
    """An application of a tenant, which may use a resource. It proves itself with a secret."""

    tenant_id: str
    client_id: str
    subscription_id: str
    resource_group: str
    account: str

    @property
    def login_path(self) -> str:
        return f"/{self.tenant_id}/oauth2/v2.0/token"

    def form(self, secret: str, scope: str) -> dict[str, str]:
        return {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": secret,
            "scope": scope,
        }


def scope_of_models(base_url: str) -> str:
    """What a token for files, jobs and chats must be made for: a resource and a project differ."""
    parts = urlsplit(base_url)
    found = _CLOUD.search(parts.hostname or "")
    domain = "ai" if parts.path.startswith("/api/projects/") else "cognitiveservices"
    return f"https://{domain}.azure.{found[1] if found else 'com'}/.default"


def scope_of_management(management_url: str) -> str:
    return f"{management_url}/.default"


@dataclass(frozen=True)
class Token:
    """`lifetime`: in seconds, from now."""

    text: str
    lifetime: float

    @classmethod
    def read(cls, answer: object) -> "Token":
        """Raises `ValueError` for an answer that has no token."""
        raw: Mapping[str, Any] = answer if isinstance(answer, dict) else {}
        text, lifetime = raw.get("access_token"), raw.get("expires_in")
        if not isinstance(text, str) or not _TOKEN.fullmatch(text):
            raise ValueError("it has no `access_token` that can be sent")
        if not isinstance(lifetime, int | str) or not re.fullmatch(r"[0-9]{1,6}", str(lifetime)):
            raise ValueError("its `expires_in` is no number of seconds")
        return cls(text, float(lifetime))


class _Kept(NamedTuple):
    text: str
    renew_at: float
    ends_at: float


class Tokens:
    """Those of this process, by whose they are and what for. Threads may use it."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Hashable, str], _Kept] = {}
        self._lock = Lock()

    def get(self, owner: Hashable, scope: str) -> str | None:
        """None once it is to be renewed."""
        kept = self._kept.get((owner, scope))
        return kept.text if kept is not None and time.monotonic() < kept.renew_at else None

    def get_until_its_end(self, owner: Hashable, scope: str) -> str | None:
        """Also one that is to be renewed, which serves until that is done."""
        kept = self._kept.get((owner, scope))
        return kept.text if kept is not None and time.monotonic() < kept.ends_at else None

    def keep(self, owner: Hashable, scope: str, token: Token) -> str:
        ends_at = time.monotonic() + token.lifetime
        renew_at = ends_at - min(RENEW_BEFORE_SECONDS, token.lifetime / 2)
        with self._lock:
            self._kept.pop((owner, scope), None)
            self._kept[owner, scope] = _Kept(token.text, renew_at, ends_at)
            while len(self._kept) > MAX_KEPT:
                del self._kept[next(iter(self._kept))]
        return token.text

    def renew_later(self, owner: Hashable, scope: str) -> None:
        """It could not be renewed: not each call until its end tries it again."""
        with self._lock:
            if (kept := self._kept.get((owner, scope))) is not None:
                self._kept[owner, scope] = kept._replace(renew_at=time.monotonic() + RETRY_SECONDS)

    def forget(self, owner: Hashable, scope: str, text: str) -> None:
        """One that was refused. A newer one stays."""
        with self._lock:
            kept = self._kept.get((owner, scope))
            if kept is not None and kept.text == text:
                del self._kept[owner, scope]

    def all_of(self, owner: Hashable) -> list[str]:
        """To be kept out of what is shown."""
        with self._lock:
            return [kept.text for (whose, _), kept in self._kept.items() if whose == owner]


TOKENS = Tokens()

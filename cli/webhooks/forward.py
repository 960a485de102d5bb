"""Sends an event to an address of this machine as the server would send it to an endpoint, signed by ourselves."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
from standardwebhooks import Webhook

from cli.api_client import plainly
from shared.version import VERSION
from shared.webhooks.event_types import EventType

TIMEOUT = 15.0  # seconds for the whole of it, as on the server
READ_AT_MOST = 1 << 14
REASON_LENGTH = 80
PLAIN = {"user-agent": f"Tunery/{VERSION} (webhooks listen)", "accept-encoding": "identity"}
LABEL = b"tunery webhooks listen"
THIN = {type for type in EventType if type.is_thin}


def signing_secret(api_key: str) -> str:
    """Always the same for a key, so that a receiver's configuration outlives the listener."""
    return "whsec_" + base64.b64encode(hmac.digest(api_key.encode(), LABEL, hashlib.sha256)).decode()


def body_of(event: dict[str, Any], is_full: bool) -> bytes:
    """As the server writes it: OpenAI's own types carry the object's id alone, unless all are to be full."""
    data = event["data"] if is_full or event["type"] not in THIN else {"id": event["data"]["id"]}
    payload = {name: event[name] for name in ("id", "object", "created_at", "type")} | {"data": data}
    return json.dumps(payload, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Answer:
    """What became of one request. `status` is None when none came; `error` says why it does not count as received."""

    status: int | None
    duration_ms: int
    error: str | None


class Forwarder:
    """Posts to one address. Redirects are not followed, and no proxy of the environment is used."""

    def __init__(self, url: str, secret: str, is_full: bool = False) -> None:
        self._url = url
        self._signer = Webhook(secret)
        self._is_full = is_full
        self._http = httpx2.Client(timeout=TIMEOUT, trust_env=False, headers=PLAIN)

    def forward(self, event: dict[str, Any]) -> Answer:
        body, started = body_of(event, self._is_full), time.monotonic()
        status, error = None, None
        try:
            with self._http.stream("POST", self._url, content=body, headers=self._headers(event, body)) as response:
                status = response.status_code
                text = _read(response, started + TIMEOUT)
                error = None if response.is_success else _sentence(response, text)
        except httpx2.TimeoutException:
            error = f"no complete answer within {TIMEOUT:g} s"
        except httpx2.RequestError as failed:
            error = plainly(failed)
        return Answer(status, round((time.monotonic() - started) * 1000), error)

    def _headers(self, event: dict[str, Any], body: bytes) -> dict[str, str]:
        """The id is the event's, so that it is the same when a listener is started again."""
        now = datetime.now(UTC)
        return {
            "content-type": "application/json",
            "webhook-id": event["id"],
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(event["id"], now, body.decode()),
        }


def _read(response: httpx2.Response, deadline: float) -> str:
    body = b""
    for chunk in response.iter_bytes():
        body += chunk[: READ_AT_MOST - len(body)]
        if len(body) == READ_AT_MOST:
            break
        if time.monotonic() > deadline:
            raise httpx2.ReadTimeout("the answer's body does not end")
    return body.decode(errors="replace")


def _sentence(response: httpx2.Response, text: str) -> str:
    """A redirect's target, or the first line that came with a refusal."""
    if response.is_redirect:
        return f"a redirect to {response.headers['location']} is not followed"
    first = next((line.strip() for line in text.splitlines() if line.strip()), response.reason_phrase)
    return first if len(first) <= REASON_LENGTH else first[: REASON_LENGTH - 1] + "…"

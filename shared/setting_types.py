"""Types of settings whose values are checked beyond their kind: durations, counts, addresses, keys."""

import re
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

MAX_SECONDS = 315_360_000  # ten years
KEY_BYTES = 32


def _seconds(value: object) -> timedelta:
    """Read a number of seconds from 0 to ten years."""
    if isinstance(value, timedelta):
        return value
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise ValueError("must be a number of seconds, such as 30 or 0.5") from None
    if not 0 <= seconds <= MAX_SECONDS:  # false for nan
        raise ValueError(f"must be from 0 to {MAX_SECONDS} seconds")
    return timedelta(seconds=seconds)


def _some_time(duration: timedelta) -> timedelta:
    if duration <= timedelta():
        raise ValueError("must be greater than 0")
    return duration


def _file_expiry(duration: timedelta) -> timedelta:
    if duration and not timedelta(hours=1) <= duration <= timedelta(days=30):
        raise ValueError("must be from 3600 to 2592000 seconds, or 0 for never")
    return duration


def _http_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or re.search(r"\s", url):
        raise ValueError("must be an address such as https://api.openai.com/v1")
    return url.rstrip("/")


def _proxy_url(url: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(url.get_secret_value())
        is_good = parts.scheme == "http" and bool(parts.hostname) and bool(parts.port)
        is_good = is_good and not (parts.path.strip("/") or parts.query or parts.fragment)
    except ValueError:
        is_good = False
    if not is_good or re.search(r"\s", url.get_secret_value()):
        raise ValueError("must be an address such as http://proxy.internal:3128, with a port and without a path")
    return url


def _sentry_dsn(dsn: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(_http_url(dsn.get_secret_value()))
        is_good = bool(parts.username) and bool(re.fullmatch(r"/(?:.*/)?[0-9]+", parts.path))
    except ValueError:
        is_good = False
    if not is_good:
        raise ValueError("must be the DSN of a project, such as https://key@sentry.example.com/1")
    return dsn


def check_ports(url: str) -> str:
    """Raises `ValueError` if a port in the URL of a database or broker is not one; the URL may name several hosts."""
    hosts = re.split("[/?]", url.partition("://")[2].rpartition("@")[2])[0]
    for host in hosts.split(","):
        port = host.rpartition("]")[2].partition(":")[2]
        if port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError("must have a port from 1 to 65535")
    return url


def _sealing_key(key: SecretStr) -> SecretStr:
    try:
        is_good = len(urlsafe_b64decode(key.get_secret_value())) == KEY_BYTES
    except (NotBase64, ValueError):
        is_good = False
    if not is_good:
        raise ValueError(f"must be {KEY_BYTES} random bytes in url-safe base64; .env.example shows how to make a key")
    return key


def _mail_address(text: str) -> str:
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", text):
        raise ValueError("must be an e-mail address")
    return text


def _origin(origin: str) -> str:
    if origin != "*" and not re.fullmatch(r"https?://[a-z0-9.\[\]:-]+", origin.lower()):
        raise ValueError("must be * or an origin such as https://app.example.com, without a path or a slash at the end")
    return origin.lower()


def _path_prefix(path: str) -> str:
    path = path.rstrip("/")
    if not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)*", path):
        raise ValueError("must be a path such as /tunery, of letters, digits and ._~-")
    return path


SecondsOrNone = Annotated[timedelta, BeforeValidator(_seconds)]
Seconds = Annotated[SecondsOrNone, AfterValidator(_some_time)]
FileExpiry = Annotated[SecondsOrNone, AfterValidator(_file_expiry)]
Bytes = Annotated[int, Field(gt=0, le=1 << 50)]
Count = Annotated[int, Field(gt=0, lt=1 << 31)]
Limit = Annotated[int | None, Field(ge=0, lt=1 << 53)]
Port = Annotated[int, Field(gt=0, lt=65536)]
Text = Annotated[str, Field(min_length=1)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
ProxyUrl = Annotated[SecretStr, AfterValidator(_proxy_url)]
SentryDsn = Annotated[SecretStr, AfterValidator(_sentry_dsn)]
SealingKey = Annotated[SecretStr, AfterValidator(_sealing_key)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]
Origin = Annotated[str, AfterValidator(_origin)]
PathPrefix = Annotated[str, AfterValidator(_path_prefix)]

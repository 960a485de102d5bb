"""The broker, the storage and the provider: does each do what the servers need of it. And where the metrics are."""

import os
import secrets
from collections.abc import Iterator
from datetime import timedelta

from redis import Redis
from redis.exceptions import RedisError

from cli.doctor.result import Result, fail, ok, warn
from cli.running_up import OF_UP, Filled, health_addresses
from shared.datasets.service import new_dataset_id
from shared.datasets.storage import store
from shared.projects.credentials import Account
from shared.settings import get_settings
from worker.providers.errors import ProviderError
from worker.providers.registry import PROVIDERS

SECONDS = 4


def broker() -> Iterator[Result]:
    url = get_settings().redis_url
    try:
        client = Redis.from_url(url, socket_connect_timeout=SECONDS, socket_timeout=SECONDS)
        info = client.info()
    except (RedisError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        yield fail("broker", f"does not answer: {reason}", "Start Redis or Valkey, or correct REDIS_URL.")
        return
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version", "?")
    keeps = (
        "keeps its messages over a restart" if info.get("aof_enabled") else "may forget messages, which costs time only"
    )
    yield ok("broker", f"{name} {version} answers, and {keeps}")
    if info.get("cluster_enabled"):
        yield fail("broker", "it is a cluster", "Use one server or a sentinel: Celery does not work with a cluster.")
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        yield warn("broker", f"maxmemory-policy is {policy}", "Set it to noeviction: evicted messages delay work.")


def storage() -> Iterator[Result]:
    where, probe = get_settings().storage, new_dataset_id()
    content = secrets.token_bytes(64)
    try:
        store.store(probe, [content])
        with store.open_dataset(probe) as file:
            is_same = file.read() == content
        store.remove(probe)
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0]
        yield fail(
            "storage",
            f"{where}: {reason}",
            f"Let this user (uid {os.getuid()}) write there, or correct TUNERY_STORAGE.",
        )
        return
    if not is_same:
        yield fail("storage", f"{where} returned other bytes than were written", "Use another storage.")
        return
    kind = "a bucket" if "://" in where else "a folder, which api, worker and beat must share"
    yield ok("storage", f"{where}: written, read and deleted ({kind})")


def metrics(filled: Filled) -> Iterator[Result]:
    """Of this process's settings: each server has its own address."""
    own = "of the api at /metrics, for an admin key with admin:activity:read"
    address = get_settings().health_address
    if filled.source == OF_UP:
        found = ", ".join(f"of {name} at http://{each}/metrics" for name, each in health_addresses().items())
    elif address:
        found = f"of worker, sender and beat at http://{address}/metrics of each"
    else:
        found = "of worker, sender and beat where TUNERY_HEALTH_ADDRESS says, which is not set here"
    yield ok("metrics", f"{own}; {found}")


def provider() -> Iterator[Result]:
    settings = get_settings().provider
    entry = PROVIDERS[settings.dialect]
    account = Account(None, None, settings.base_url, settings.dialect, 0, None)
    try:
        models = entry.client(account, timedelta(seconds=SECONDS), entry.statuses).list_base_models()
    except ProviderError as error:
        yield fail("provider", f"{settings.base_url}: {error.message}".rstrip("."), _advice(error))
        return
    known = {model.id for model in models}
    yield ok("provider", f"{settings.base_url} accepts the key, and has {len(known)} base models")
    if missing := [name for name in settings.base_models if name not in known]:
        yield warn(
            "provider",
            f"it does not list {', '.join(missing)}",
            "Correct TUNERY_PROVIDER__BASE_MODELS.",
        )


def _advice(error: ProviderError) -> str:
    if error.status in {401, 403}:
        return "Replace the key in TUNERY_PROVIDER__API_KEY."
    if error.status is None:
        return "Correct TUNERY_PROVIDER__BASE_URL, or open the way to it."
    return "Correct TUNERY_PROVIDER__BASE_URL: it is the address before /models, often with /v1."

"""Servers do not keep in memory what they have no use for: each megabyte counts as often as there are processes."""

import os
import subprocess
import sys

import pytest

from cli.local.commands import ROOT

SETTINGS = {
    "DATABASE_URL": "postgresql://a:b@127.0.0.1:1/tunery",
    "REDIS_URL": "redis://127.0.0.1:1",
    "TUNERY_SECRET_KEYS": '["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]',
    "TUNERY_PROVIDER__BASE_URL": "http://127.0.0.1:1/v1",
    "TUNERY_PROVIDER__API_KEY": "sk-unused",
    "TUNERY_STORAGE": "/unused",
}
HEAVY = {"alembic", "openai", "opentelemetry.sdk.trace", "tiktoken", "shared.datasets.validation.scanning"}
HEAVY |= {"sentry_sdk"}


@pytest.mark.parametrize(
    ("module", "needed"),
    [
        ("api.main", set()),
        ("worker.app", {"openai", "shared.datasets.validation.scanning"}),
        ("worker.sender", set()),
        ("worker.runtime.scheduler", set()),
    ],
)
def test_a_server_loads_what_it_needs(module: str, needed: set[str]) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    environ = os.environ | SETTINGS
    loaded = subprocess.check_output([sys.executable, "-c", program], env=environ, cwd=ROOT, text=True)
    assert HEAVY & set(loaded.split()) == needed

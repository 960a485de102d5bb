"""Plants marked secrets wherever one can be stored, uses everything, and searches all output for them."""

import json
import os
import re
import signal
import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from cryptography.fernet import Fernet
from sqlalchemy import make_url, text
from sqlmodel import SQLModel

from cli.local import commands
from cli.processes import ports
from shared.database import transaction
from shared.projects import service as projects
from tests.servers import PATIENCE, Receiver, until, wait_for_port
from tests.world import Person, lines, variables_of_this_test

OWN_KEY = "markedOwnProviderKey0123456789"  # of no shape that a filter could know
DEFAULT_KEY = "markedDefaultProviderKey987654"
WRONG_KEY = "markedWrongProviderKey55555555"
WEBHOOK_SECRET = "markedProviderWebhookSecret777"
PASSWORD = "markedDatabasePassword1234567"
STRANGE = "markedInARefusedRequest7654321"
PLANTED = {OWN_KEY, DEFAULT_KEY, WRONG_KEY, WEBHOOK_SECRET, PASSWORD, STRANGE}
REDIS_NUMBER = "11"


@pytest.fixture
def variables(alice: Person) -> dict[str, str]:
    given = variables_of_this_test()
    database = make_url(given["DATABASE_URL"])
    master = Fernet.generate_key().decode()
    PLANTED.add(master)
    return {
        **os.environ,
        **given,
        "DATABASE_URL": (database if database.password else database.set(password=PASSWORD)).render_as_string(False),
        "REDIS_URL": re.sub(r"/\d*$", "", given["REDIS_URL"]) + f"/{REDIS_NUMBER}",
        "TUNERY_PROVIDER__API_KEY": DEFAULT_KEY,
        "TUNERY_SECRET_KEYS": json.dumps([master]),
        "TUNERY_DANGEROUS_ALLOW_PRIVATE_URLS": '["127.0.0.0/8"]',
        "TUNERY_POLL_EVERY": "0.3",
        "TUNERY_LOG_LEVEL": "debug",
        "SANDBOX_API_KEY": OWN_KEY,
        "SANDBOX_SPEED": "20",
    }


@pytest.fixture
def deployment(variables: dict[str, str], tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Run all servers at log level debug, one with the console format; yield the URLs of api and sandbox."""
    with ports.held() as api, ports.held() as provider, ExitStack() as stack:
        started = {
            "api": (commands.api("127.0.0.1", api), "json"),
            "worker": (commands.worker(1), "console"),
            "sender": (commands.sender(2), "json"),
            "beat": (commands.beat(), "console"),
            "sandbox": (commands.sandbox(provider), "json"),
        }
        processes: list[subprocess.Popen[bytes]] = []
        stack.callback(_kill, processes)
        for name, (command, log_format) in started.items():
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            env = {**variables, "TUNERY_LOG_FORMAT": log_format}
            processes.append(subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True))
        for port in (api, provider):
            wait_for_port(port)
        yield f"http://127.0.0.1:{api}/v1", f"http://127.0.0.1:{provider}/v1"


def _kill(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        os.killpg(process.pid, signal.SIGKILL)
    for process in processes:
        process.wait()


def test_no_planted_secret_appears_in_any_output(
    alice: Person, deployment: tuple[str, str], variables: dict[str, str], receiver: Receiver, tmp_path: Path
) -> None:
    address, provider = deployment
    with transaction() as session:
        _, admin_key = projects.create_api_key(session, None, "operator")
    PLANTED.update({admin_key, alice.api_key})
    answers: list[str] = []

    def ask(key: str, method: str, path: str, **sent: Any) -> Any:
        headers = {"authorization": f"Bearer {key}", **sent.pop("headers", {})}
        answer = httpx2.request(method, address + path, headers=headers, timeout=2 * PATIENCE, **sent)
        answers.append(f"{answer.headers} {answer.text}")
        return answer.json() if "json" in answer.headers["content-type"] else answer

    secret = _make_an_endpoint(ask, alice, receiver)
    answers.pop()  # the one answer that shows it
    PLANTED.update({secret, secret.removeprefix("whsec_")})
    own = f"/organization/projects/{alice.project_id}/credentials"
    _use_the_account(ask, alice, admin_key, own, provider)
    _be_refused(ask, alice, admin_key, own)
    until(lambda: len(receiver.received) >= 1)
    told = {
        **{path.name: path.read_text(errors="replace") for path in tmp_path.glob("*.log")},
        "answers": "\n".join(answers),
        "openapi": httpx2.get(address.removesuffix("/v1") + "/openapi.json", timeout=120).text,
        "postgres": _everything_in_postgres(),
        "redis": _everything_in_redis(variables["REDIS_URL"]),
    }
    assert [name for name, found in told.items() if not found] == []
    leaks = [(name, planted[:10]) for name, found in told.items() for planted in PLANTED if planted in found]
    assert leaks == []


def _make_an_endpoint(ask: Callable[..., Any], alice: Person, receiver: Receiver) -> str:
    new = {"name": "x", "url": receiver.url, "event_types": ["fine_tuning.job.succeeded"], "full_payloads": True}
    made = ask(alice.api_key, "POST", "/webhook_endpoints", json=new, headers={"Idempotency-Key": "stored"})
    return str(made["signing_secret"])


def _use_the_account(ask: Callable[..., Any], alice: Person, admin: str, own: str, provider: str) -> None:
    """Run a job and a chat with the deployment's invalid key, then with her own, which is first invalid too."""
    file = {"file": ("train.jsonl", lines())}
    file_id = ask(alice.api_key, "POST", "/files", files=file, data={"purpose": "fine-tune"})["id"]
    job = {"model": "gpt-4o-mini", "training_file": file_id}
    failing = ask(alice.api_key, "POST", "/fine_tuning/jobs", json=job)["id"]
    new = {"name": "own", "base_url": provider, "api_key": WRONG_KEY, "webhook_secret": WEBHOOK_SECRET}
    made = ask(admin, "POST", own, json=new, headers={"Idempotency-Key": "stored"})["id"]
    assert ask(admin, "POST", f"{own}/{made}/test")["ok"] is False
    ask(admin, "POST", f"{own}/{made}", json={"api_key": OWN_KEY})
    assert ask(admin, "POST", f"{own}/{made}/test")["ok"] is True
    chat = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Question 7"}]}
    assert "choices" in ask(alice.api_key, "POST", "/chat/completions", json=chat)
    job_id = ask(alice.api_key, "POST", "/fine_tuning/jobs", json=job)["id"]
    until(lambda: ask(alice.api_key, "GET", f"/fine_tuning/jobs/{job_id}")["status"] == "succeeded")
    for id in (failing, job_id):
        ask(alice.api_key, "GET", f"/fine_tuning/jobs/{id}/events")
    ask(admin, "GET", own)


def _be_refused(ask: Callable[..., Any], alice: Person, admin: str, own: str) -> None:
    """Send secrets where they do not belong: in an unknown field, in broken JSON, in a URL."""
    ask(f"sk-tun-{STRANGE}", "GET", "/models")
    ask(admin, "GET", "/models")
    ask(alice.api_key, "GET", own)
    for body in (
        {"api_key": STRANGE},
        {"name": "x", "base_url": f"https://a:{STRANGE}@example.com", "api_key": OWN_KEY},
        {"name": "x", "base_url": "https://example.com", "api_key": f"{STRANGE} {OWN_KEY}"},
        {"name": "x", "base_url": "https://example.com", "api_key": [STRANGE], STRANGE: STRANGE},
    ):
        ask(admin, "POST", own, json=body)
    ask(admin, "POST", own, content=f'{{"api_key": "{STRANGE}'.encode())
    hook = {"name": "x", "url": f"https://a:{STRANGE}@example.com/", "event_types": ["dataset.failed"]}
    ask(alice.api_key, "POST", "/webhook_endpoints", json=hook)
    job = {"model": "gpt-4o-mini", "training_file": "file-1", STRANGE: 1, "hyperparameters": {"n_epochs": STRANGE}}
    ask(alice.api_key, "POST", "/fine_tuning/jobs", json=job)


def _everything_in_postgres() -> str:
    with transaction() as session:
        tables = [table.name for table in SQLModel.metadata.sorted_tables]
        rows = [session.execute(text(f"select t::text from {table} t")).scalars().all() for table in tables]
    assert sum(map(bool, rows)) > 10
    return "\n".join(row for table in rows for row in table)


def _everything_in_redis(url: str) -> str:
    """Return all remaining messages, with their base64 bodies decoded."""
    client: Any = redis.Redis.from_url(url)
    read = {b"list": lambda key: client.lrange(key, 0, -1), b"hash": client.hgetall, b"string": client.get}
    read |= {b"set": client.smembers, b"zset": lambda key: client.zrange(key, 0, -1)}
    found = repr([read[client.type(key)](key) for key in client.keys("*")])
    client.flushdb()
    client.close()
    return found + "".join(str(b64decode(each)) for each in re.findall(r'"body": "([A-Za-z0-9+/=]+)"', found))

"""Counts failed calls while the key that seals 1,000 credentials is replaced under load.

`python -m benchmarks.rotation`

Jobs and chats go on, each with a credential of its project, through the three steps of docs/credentials.md: add the new
key in front and restart each server, reseal everything, remove the old key and restart each server. There are two apis;
a client uses the other one while one restarts. A failed call is a chat whose answer is not 200, a job that does not
succeed, or a credential that the worker could not refresh. The provider has a slot for every job, so that the queue
does not matter.
"""

import json
import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import httpx2
from cryptography.fernet import Fernet
from sqlmodel import col, select

from benchmarks.stack import Measured, lines, measured_stack, print_table
from cli.local import commands
from cli.processes import ports
from cli.processes.ports import LOCALHOST
from cli.processes.supervisor import Tier
from shared.database import get_engine, transaction
from shared.jobs.models import Job, JobStatus
from shared.key_rotation.reseal import reseal_all
from shared.projects import credentials
from shared.projects import service as projects
from shared.projects.credential_schemas import CredentialCreate
from shared.projects.models import Credential
from shared.security.secrets import key_id, key_ids
from shared.settings import get_settings

CREDENTIALS, PROJECTS = 1000, 10
SECONDS = 5.0  # of load before, between and after the restarts
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Question 1"}]}
JOB = {"model": "gpt-4o-mini", "hyperparameters": {"n_epochs": 1}}


def main() -> None:
    limits = {"SANDBOX_MAX_ACTIVE_JOBS_PER_MODEL": "1000", "SANDBOX_MAX_JOBS_PER_DAY": "10000"}  # no job waits
    with measured_stack(TUNERY_LOG_LEVEL="warning", TUNERY_POLL_EVERY="0.5", SANDBOX_SPEED="20", **limits) as stack:
        os.environ.update(stack.environ)
        bench = Bench(stack)
        print_table(bench.rotate())
        get_engine().dispose()


class Bench:
    """Two apis, ten projects with a hundred credentials each, and one client per project that sends without a pause."""

    def __init__(self, stack: Measured) -> None:
        self.stack = stack
        first = stack.supervisor.members["api"][1].program
        with ports.held() as port:
            command = commands.api(LOCALHOST, port, grace=5)
        other = replace(first, name="api2", command=command, log=first.log.with_name("api2.log"))
        stack.supervisor.start(other, Tier.SERVERS)
        stack.supervisor.wait_until(lambda: ports.is_listening(port), "the other api")
        self.addresses = [stack.base_url, f"http://{LOCALHOST}:{port}/v1"]
        self.keys = [self._project(number) for number in range(PROJECTS)]
        self.stopped = threading.Event()
        self.answers: Counter[str] = Counter()
        self.elsewhere: Counter[str] = Counter()
        self.job_ids: list[str] = []

    def _project(self, number: int) -> str:
        new = {"name": "own", "base_url": self.stack.sandbox_url, "api_key": self.stack.sandbox_key}
        asked = CredentialCreate.model_validate(new)
        with transaction() as session:
            project = projects.create_project(session, f"team {number}")
            for _ in range(CREDENTIALS // PROJECTS):
                credentials.create(session, project.id, asked)
            return projects.create_api_key(session, project.id, "bench")[1]

    def rotate(self) -> list[tuple[str, str, str]]:
        with ThreadPoolExecutor(PROJECTS) as pool:
            clients = [pool.submit(self._work, key) for key in self.keys]
            time.sleep(SECONDS)
            [old] = get_settings().secret_keys
            new = Fernet.generate_key().decode()
            self._restart_servers(new, old.get_secret_value())
            began = time.perf_counter()
            done = reseal_all()
            took = time.perf_counter() - began
            time.sleep(SECONDS)
            self._restart_servers(new)
            time.sleep(SECONDS)
            self.stopped.set()
            for client in clients:
                client.result()
        ended = self._ended()
        counted = self.answers + ended + self._failed_refreshes()
        wrong = {what: count for what, count in counted.items() if what not in {"200", "succeeded"}}
        return [
            ("credentials; resealed; left with the old key", "1,000; all; 0", self._sealed(done.resealed)),
            ("time to reseal all", "", f"{took:.2f} s"),
            ("chats answered; jobs that succeeded", "", f"{self.answers['200']:,}; {ended['succeeded']:,}"),
            ("repeated at the other api", "", ", ".join(f"{n} {what}" for what, n in self.elsewhere.items()) or "0"),
            ("failed calls", "0", f"{sum(wrong.values())} {wrong or ''}".strip()),
        ]

    def _restart_servers(self, *keys: str) -> None:
        """Restarts each server in turn with these keys, and sets them in this process."""
        theirs: Any = self.stack.environ  # one for all of them
        theirs["TUNERY_SECRET_KEYS"] = os.environ["TUNERY_SECRET_KEYS"] = json.dumps(keys)
        get_settings.cache_clear()
        for name in ("api", "api2", "worker", "sender", "beat"):
            tier, child = self.stack.supervisor.members[name]
            child.stop(30)
            self.stack.supervisor.start(child.program, tier)
            if name.startswith("api"):
                address = self.addresses[name == "api2"]
                self.stack.supervisor.wait_until(partial(_is_ready, address), name)

    def _work(self, key: str) -> None:
        with httpx2.Client(headers={"authorization": f"Bearer {key}"}, timeout=60) as client:
            file = {"file": ("train.jsonl", lines())}
            file_id = self._ask(client, "/files", files=file, data={"purpose": "fine-tune"}).json()["id"]
            asked_at = 0.0
            while not self.stopped.is_set():
                if time.monotonic() > asked_at + 1:
                    asked_at = time.monotonic()
                    made = self._ask(client, "/fine_tuning/jobs", json={**JOB, "training_file": file_id})
                    self.job_ids.append(made.json()["id"])
                answer = self._ask(client, "/chat/completions", json=CHAT)
                self.answers["200" if answer.status_code == 200 else f"{answer.status_code} {answer.text[:200]}"] += 1

    def _ask(self, client: httpx2.Client, path: str, **sent: Any) -> httpx2.Response:
        for attempt in range(100):
            try:
                return client.post(self.addresses[attempt % 2] + path, **sent)
            except (httpx2.ConnectError, httpx2.RemoteProtocolError, httpx2.ReadError) as error:
                self.elsewhere[type(error).__name__] += 1
        raise TimeoutError(path)

    def _ended(self) -> Counter[str]:
        """The number of jobs by status, once all have ended or after two minutes."""
        deadline = time.monotonic() + 120
        query = select(Job.status).where(col(Job.id).in_(self.job_ids))
        while True:
            with transaction() as session:
                statuses = session.exec(query).all()
            if all(JobStatus(status).is_final for status in statuses) or time.monotonic() > deadline:
                return Counter(str(status) for status in statuses)
            time.sleep(0.5)

    def _failed_refreshes(self) -> Counter[str]:
        """Credentials by the error of their last refresh; `None` if the worker has not refreshed them."""
        query = select(Credential.tested_at, Credential.test_error).where(col(Credential.project_id).is_not(None))
        with transaction() as session:
            return Counter(f"account: {error}" for tested_at, error in session.exec(query) if error or not tested_at)

    def _sealed(self, resealed: int) -> str:
        with transaction() as session:
            sealed = [key_id(each) for each in session.exec(select(Credential.sealed_api_key)) if each]
        left = sum(each != key_ids()[0] for each in sealed)
        return f"{len(sealed):,}; {resealed:,} with the endpoints'; {left}"


def _is_ready(address: str) -> bool:
    try:
        return httpx2.get(address.removesuffix("/v1") + "/livez").status_code == 200
    except httpx2.HTTPError:
        return False


if __name__ == "__main__":
    main()

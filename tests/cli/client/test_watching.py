"""`tunery jobs watch` goes on when a server that has answered does not for a while."""

import threading
import time
from pathlib import Path

from tests.cli.terminal import Tunery
from tests.world import Sandbox

PATIENCE = 60.0  # seconds


def end_when_all_faults_are_met(sandbox: Sandbox, job_id: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while sandbox.http.get("/sandbox/faults").json()["data"] and time.monotonic() < deadline:
        time.sleep(0.05)
    sandbox.move(job_id, status="succeeded")


def test_a_server_that_comes_back_is_waited_for(at_openai: Sandbox, tunery: Tunery, train: Path) -> None:
    created = tunery("jobs", "create", "--file", str(train), "--model", "gpt-4o-mini", "-y")
    job_id = created.out.strip()
    at_openai.move(job_id, status="running")
    at_openai.arm("GET", f"/v1/fine_tuning/jobs/{job_id}", skip=1, times=1, status=503)
    at_openai.arm("GET", f"/v1/fine_tuning/jobs/{job_id}", skip=1, times=1, drop="before")
    ending = threading.Thread(target=end_when_all_faults_are_met, args=(at_openai, job_id))
    ending.start()
    said = tunery("jobs", "watch", job_id)
    ending.join()
    assert (said.code, said.err) == (0, "The server does not answer. It is asked again for up to 5 minutes.\n")
    assert said.out.splitlines()[-1].startswith("ok  succeeded")

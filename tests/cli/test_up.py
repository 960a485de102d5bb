"""`tunery up` as a newcomer uses it: one command, four variables, and nothing left behind."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from openai import OpenAI

from cli.embedded import postgres_home
from cli.local import commands
from tests.servers import PATIENCE, until
from tests.world import Sandbox, lines

pytestmark = pytest.mark.timeout(400)  # several times PATIENCE
SETTINGS = ("DATABASE_URL", "REDIS_URL", "TUNERY_", "SANDBOX_", "OPENAI_", "PORT")
FAST = {"SANDBOX_SPEED": "20", "TUNERY_POLL_EVERY": "0.2"}


class Up:
    """A running `tunery up`."""

    def __init__(self, state: Path, *arguments: str, **environ: str) -> None:
        bare = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
        self.env, self.said = state / "env", state.with_name("said")
        with self.said.open("w") as said, state.with_name("data").open("w") as data:
            self.process = subprocess.Popen(
                [commands.PYTHON, "-m", "cli", "up", *arguments],
                env=bare | {"TUNERY_STATE": str(state)} | environ,
                cwd=commands.ROOT,
                stdout=data,
                stderr=said,
            )
        self.data = Path(data.name)

    def wait(self) -> dict[str, str]:
        """The variables that it gives, once it is ready."""
        until(lambda: self.env.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, self.said.read_text()
        exports = [line for line in self.env.read_text().splitlines() if line.startswith("export ")]
        pairs = (line.removeprefix("export ").split("=", 1) for line in exports)
        return {name: value.strip("'") for name, value in pairs}

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, module: str) -> psutil.Process:
        return next(child for child in self.children() if module in child.cmdline())

    def end(self, number: signal.Signals) -> int:
        """Its exit code; asserts that nothing is left."""
        children = self.children()
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        assert psutil.wait_procs(children, timeout=PATIENCE)[1] == []
        return code


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    postgres_home.remove(tmp_path / "state")


def succeed(variables: dict[str, str]) -> str:
    """A whole job, by a client that knows the variables alone."""
    client = OpenAI(base_url=variables["OPENAI_BASE_URL"], api_key=variables["OPENAI_API_KEY"])
    file = client.files.create(file=("train.jsonl", lines()), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(training_file=file.id, model="gpt-4o-mini")
    until(lambda: client.fine_tuning.jobs.retrieve(job.id).status == "succeeded")
    return job.id


def test_it_gives_what_a_client_needs_is_the_same_again_after_a_restart_and_mends_itself(state: Path) -> None:
    up = Up(state, **FAST)
    variables = up.wait()
    assert list(variables) == ["OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_WEBHOOK_SECRET"]
    assert up.data.read_text() == up.env.read_text()
    assert stat.S_IMODE(up.env.stat().st_mode) == 0o600
    job_id = succeed(variables)
    until(lambda: f"webhook fine_tuning.job.succeeded {job_id}, signature verified" in up.said.read_text())
    assert up.end(signal.SIGTERM) == 0
    assert not up.env.exists()

    again = Up(state, **FAST)
    assert again.wait() == variables
    client = OpenAI(base_url=variables["OPENAI_BASE_URL"], api_key=variables["OPENAI_API_KEY"], max_retries=9)
    assert [job.id for job in client.fine_tuning.jobs.list()] == [job_id]
    the_tuned_model_answers(client, job_id)
    refuses_a_second(again, state)
    starts_again_what_dies(again, client)
    assert again.end(signal.SIGKILL) == -signal.SIGKILL


def the_tuned_model_answers(client: OpenAI, job_id: str) -> None:
    model = client.fine_tuning.jobs.retrieve(job_id).fine_tuned_model
    assert model
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Question 7"}])
    assert answer.choices[0].message.content == "Answer 7"


def command(state: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """As `./tunery` starts it, with no variable but that of its state folder."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    line = [commands.PYTHON, "-m", "cli", *arguments]
    given = bare | {"TUNERY_STATE": str(state)} | environ
    return subprocess.run(
        line, env=given, cwd=commands.ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE
    )


def refuses_a_second(up: Up, state: Path) -> None:
    second = subprocess.run(
        [commands.PYTHON, "-m", "cli", "up"],
        env=os.environ | {"TUNERY_STATE": str(state)},
        cwd=commands.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr.startswith(f"Tunery runs in {state} already, as process {up.process.pid}.")


def starts_again_what_dies(up: Up, client: OpenAI) -> None:
    dead = up.child("api")
    dead.kill()
    until(lambda: "api ended with code -9." in up.said.read_text())
    assert client.models.list().data
    assert up.child("api").pid != dead.pid


@pytest.mark.usefixtures("clean")
def test_it_uses_the_servers_and_the_provider_that_it_is_given(
    state: Path, sandbox: Sandbox, postgres_url: str, redis_url: str
) -> None:
    up = Up(
        state,
        "--webhook-url",
        "http://127.0.0.1:9/hook",
        DATABASE_URL=postgres_url,
        REDIS_URL=redis_url,
        TUNERY_PROVIDER__BASE_URL=f"{sandbox.address}/v1",
        TUNERY_PROVIDER__API_KEY="sk-sandbox",
    )
    variables = up.wait()
    modules = {word for child in up.children() for word in child.cmdline()}
    assert {"api", "worker", "worker.runtime.scheduler"} <= modules
    assert "sandbox" not in modules
    assert not (state / "postgres").exists()
    assert not (state / "valkey").exists()
    client = OpenAI(base_url=variables["OPENAI_BASE_URL"], api_key=variables["OPENAI_API_KEY"])
    assert [endpoint.url for endpoint in client.webhooks.list()] == ["http://127.0.0.1:9/hook"]
    listed = subprocess.run(
        [commands.PYTHON, "-m", "cli", "project", "list"],
        env={"PATH": os.environ["PATH"], **variables},
        cwd=commands.ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert " first " in listed.stdout
    assert up.end(signal.SIGINT) == 130


def test_a_port_that_is_taken_is_said_in_a_sentence(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        up = Up(state, PORT=str(port))
        assert up.process.wait(PATIENCE) == 1
    assert f"Port {port} cannot be had for the api: Address already in use." in up.said.read_text()
    assert "Traceback" not in up.said.read_text()


def test_without_a_broker_it_says_that_it_is_degraded_and_why(state: Path) -> None:
    up = Up(state, REDIS_URL="redis://127.0.0.1:1/0")
    up.wait()
    until(lambda: "These lines are also in" in up.said.read_text())
    assert "Ready but degraded" in up.said.read_text()
    assert "the broker of REDIS_URL is unreachable: ConnectionError" in up.said.read_text()
    assert up.end(signal.SIGTERM) == 0


def test_other_commands_need_no_variable_while_it_runs(state: Path) -> None:
    up = Up(state)
    up.wait()
    for arguments in (["admin-key", "list"], ["project", "list"], ["reconcile", "--dry-run"]):
        done = command(state, *arguments)
        assert done.returncode == 0, done.stderr
    doctor = json.loads(command(state, "doctor", "--json").stdout)
    assert [each for each in doctor["checks"] if each["status"] == "fail"] == []
    [metrics] = [each["found"] for each in doctor["checks"] if each["check"] == "metrics"]
    assert re.findall(r"of (\w+) at http://127\.0\.0\.1:\d+/metrics", metrics) == ["worker", "sender", "beat"]
    sources = {row["name"]: row["source"] for row in doctor["settings"]}
    assert sources["DATABASE_URL"] == "the running `./tunery up`"
    other = command(state, "admin-key", "list", DATABASE_URL="postgresql://a:b@127.0.0.1:1/c")
    assert "REDIS_URL: required, but not set." in other.stderr  # another installation gets nothing of this one
    assert up.end(signal.SIGKILL) == -signal.SIGKILL
    assert (state / "settings.json").exists()  # left by the kill, and not believed
    assert "DATABASE_URL: required, but not set." in command(state, "admin-key", "list").stderr


def test_half_a_provider_is_refused(state: Path) -> None:
    up = Up(state, TUNERY_PROVIDER__API_KEY="sk-live")
    assert up.process.wait(PATIENCE) == 1
    assert "TUNERY_PROVIDER__API_KEY is set alone" in up.said.read_text()


def test_a_postgres_that_cannot_start_is_said_with_the_end_of_its_log(state: Path) -> None:
    up = Up(state, TUNERY_PG_BIN=str(state))
    assert up.process.wait(PATIENCE) == 1
    assert f"TUNERY_PG_BIN is {state}, but there is no `postgres`" in up.said.read_text()

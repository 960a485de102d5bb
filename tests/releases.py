"""One installation that two releases serve: the former one's code out of git, and the present one's."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import make_url

from cli import secret_files
from cli.embedded import temporary
from cli.local import commands
from cli.processes import ports
from cli.processes.child import Child, Program
from tests.installation import FAST_SETTINGS, KEY, database, required
from tests.world import Person, Sandbox

FORMER = "b4a16c3"  # the state before today's migrations; the newest release's tag, as soon as there is one
SERVERS = ("api", "worker", "sender", "beat")
LOCK = "requirements.lock"
LOGIN = "tunery_login"
STOP_SECONDS = 60.0
SETTINGS = FAST_SETTINGS | {
    "SANDBOX_SPEED": "0",  # a job stands still until it is moved
    "SANDBOX_MAX_ACTIVE_JOBS_PER_MODEL": "100000",
    "SANDBOX_MAX_JOBS_PER_DAY": "100000",
    "TUNERY_LEASE": "60",  # a busy machine must not make a webhook look undelivered
    "TUNERY_LOG_FORMAT": "json",
    "TUNERY_LOG_LEVEL": "warning",
    "TUNERY_RATE_LIMITS__REQUESTS_PER_MINUTE": "none",
}
# What the release itself runs: a command of its own may have changed.
_COMMANDS = """
import json, sys
from cli.local import commands
port, seed = sys.argv[1:]
print(json.dumps({
    "api": commands.api("127.0.0.1", int(port), grace=5), "worker": commands.worker(concurrency=2),
    "sender": commands.sender(concurrency=8), "beat": commands.beat(), "first": commands.first(seed),
}))
"""


def unpack(revision: str, folder: Path) -> bool:
    """Writes the code of a commit into the folder, if git has it here."""
    packed = subprocess.run(
        ["git", "archive", revision], cwd=commands.ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    if packed.returncode == 0:
        subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
    return packed.returncode == 0


def other_packages(former: Path) -> set[str]:
    """The packages of its lock that the present lock has not, or has in another version."""
    there, here = ((root / LOCK).read_text() for root in (former, commands.ROOT))
    return {*re.findall(r"^\S+==\S+", there, re.MULTILINE)} - {*re.findall(r"^\S+==\S+", here, re.MULTILINE)}


@dataclass
class Release:
    """The code of one release, and the servers that run it."""

    name: str
    root: Path
    python: str
    environ: Mapping[str, str]
    owner_url: str
    folder: Path
    api_port: int
    running: dict[str, Child] = field(default_factory=dict)

    @property
    def _variables(self) -> dict[str, str]:
        return {**self.environ, "PYTHONPATH": str(self.root)}

    def call(self, *arguments: str, **variables: str) -> str:
        """What a command printed, which ends well."""
        done = subprocess.run(
            [self.python, *arguments],
            cwd=self.root,
            env=self._variables | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _commands(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = json.loads(self.call("-c", _COMMANDS, str(self.api_port), str(self._first)))
        return found

    @property
    def _first(self) -> Path:
        return self.folder / "first.json"

    def migrate(self) -> None:
        self.call("-m", "cli", "migrate", TUNERY_MIGRATION_DATABASE_URL=self.owner_url)

    def prepare(self) -> dict[str, Any]:
        """Migrates, and makes the first project; its key and its id."""
        self.call(*self._commands()["first"][1:], TUNERY_MIGRATION_DATABASE_URL=self.owner_url)
        return secret_files.read_json(self._first)

    def start(self) -> None:
        all_commands = self._commands()
        for name in SERVERS:
            log = self.folder / f"{self.name}-{name}.log"
            program = Program(name, all_commands[name], log, self._variables, self.root)
            self.running[name] = program.start()
        self.running["api"].wait_until(partial(ports.is_listening, self.api_port), STOP_SECONDS)

    def stop(self) -> None:
        """All at once, politely."""
        for child in self.running.values():
            child.ask_to_stop()
        for child in self.running.values():
            child.stop(STOP_SECONDS)
        self.running.clear()

    def log(self, *levels: str) -> list[str]:
        """The lines of these levels, and all that are not of the log's format."""
        lines = [
            (path.stem, line)
            for path in sorted(self.folder.glob(f"{self.name}-*.log"))
            for line in path.read_text(errors="replace").splitlines()
        ]
        return [f"{server}: {line}" for server, line in lines if _level(line) in {*levels, None}]


def _level(line: str) -> str | None:
    try:
        return str(json.loads(line)["level"])
    except (ValueError, KeyError, TypeError):
        return None


@dataclass
class Installation:
    """The servers' login is another than the owner of the tables, so that it has only the rights of its release."""

    former: Release
    present: Release
    provider: Sandbox
    api_key: str
    project_id: str

    def person(self, release: Release) -> Person:
        """The first project's, at the api of this release."""
        return Person(f"http://127.0.0.1:{release.api_port}/v1", self.api_key, self.project_id)


@contextmanager
def installed(folder: Path, former: Path, former_python: str, postgres_url: str) -> Iterator[Installation]:
    """An installation of the former release, whose servers run."""
    with ExitStack() as stack:
        owner_url = stack.enter_context(database(postgres_url))
        redis_url = stack.enter_context(temporary.valkey())
        former_port, present_port, sandbox_port = (stack.enter_context(ports.held()) for _ in range(3))
        environ = _environment(folder, owner_url, redis_url, sandbox_port)
        child = Program("sandbox", commands.sandbox(sandbox_port), folder / "sandbox.log", environ, commands.ROOT)
        sandbox = child.start()
        stack.callback(sandbox.kill)
        releases = [
            Release("former", former, former_python, environ, owner_url, folder, former_port),
            Release("present", commands.ROOT, sys.executable, environ, owner_url, folder, present_port),
        ]
        for release in releases:
            stack.callback(release.stop)
        first = releases[0].prepare()
        _let_migrations_lose_deadlocks(owner_url)
        sandbox.wait_until(partial(ports.is_listening, sandbox_port))
        releases[0].start()
        provider = Sandbox(f"http://127.0.0.1:{sandbox_port}", KEY)
        stack.callback(provider.close)
        yield Installation(releases[0], releases[1], provider, first["api_key"], first["project_id"])


def _let_migrations_lose_deadlocks(owner_url: str) -> None:
    """Who looks for a deadlock first loses it. A step that lost one is taken again, but its log has an error, and what
    is shown here is that nothing else has one."""
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute(f"alter role {LOGIN} in database \"{owner.info.dbname}\" set deadlock_timeout = '60s'".encode())


def _environment(folder: Path, owner_url: str, redis_url: str, sandbox_port: int) -> dict[str, str]:
    login = make_url(owner_url).set(username=LOGIN, password="of-the-servers-alone")
    ours = required(folder, login.render_as_string(hide_password=False), redis_url, sandbox_port)
    hidden = ("TUNERY_", "OPENAI_", "SANDBOX_", "OTEL_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return inherited | ours | SETTINGS

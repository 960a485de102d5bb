"""A whole installation, and a real Prometheus that scrapes its servers by the rules of deploy/prometheus."""

import fcntl
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg

from cli.embedded import postgres_home
from cli.local import commands
from cli.local.environment import StackOptions
from cli.local.stack import OWNER_URL, Stack, running
from cli.processes import ports
from cli.processes.ports import PortReservations
from tests.monitoring.board import EXPRESSIONS
from tests.monitoring.prometheus import RULES
from tests.servers import until, wait_for_port

PATIENCE = 120.0
SETTINGS = {"TUNERY_POLL_EVERY": "0.5", "SANDBOX_SPEED": "0"}  # jobs at the provider stay there, and a fourth waits
SMALL_DISK = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
FILL = 'mount -t tmpfs -o size=1m none "$0" && head -c "$1" /dev/zero > "$0/file" && shift && exec "$@"'


@dataclass(frozen=True)
class Watched:
    """A whole installation, and the Prometheus that scrapes all its servers each second."""

    stack: Stack
    port: int

    def firing(self) -> set[str]:
        return self._names('ALERTS{alertstate="firing"}')

    @contextmanager
    def fires(self, *alerts: str) -> Iterator[None]:
        """What happens in this block lets these fire, all of which are silent before."""
        self.until(lambda: self.firing().isdisjoint(alerts))
        began = time.monotonic()

        def have_fired() -> bool:
            seconds = int(time.monotonic() - began) + 1
            return self._names(f'max_over_time(ALERTS{{alertstate="firing"}}[{seconds}s])').issuperset(alerts)

        yield
        self.until(have_fired)

    def _names(self, expression: str) -> set[str]:
        return {each["metric"]["alertname"] for each in self.asks(expression)}

    def asks(self, expression: str) -> list[Any]:
        found: list[Any] = self._ask(f"/api/v1/query?{urlencode({'query': expression})}")["result"]
        return found

    def shows_nothing(self, began: float) -> set[str]:
        """The panels of the board that had nothing to show since this time."""
        times = {"start": began, "end": time.time(), "step": "1s"}
        return {
            panel
            for panel, expression in EXPRESSIONS.items()
            if not self._ask(f"/api/v1/query_range?{urlencode({'query': expression, **times})}")["result"]
        }

    def until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < deadline, self.firing()
            time.sleep(0.2)

    def execute(self, sql: str) -> None:
        url = self.stack.environ[OWNER_URL].replace("postgresql+psycopg://", "postgresql://")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.encode())

    def kill(self, name: str) -> None:
        _, child = self.stack.supervisor.members.pop(name)
        child.kill()

    def start_beat_on_a_small_disk(self, used: int) -> None:
        """In place of the one that runs: its storage is a disk of a megabyte, of which so many bytes are used."""
        tier, child = self.stack.supervisor.members["beat"]
        self.kill("beat")
        command = [*SMALL_DISK, FILL, str(self.stack.state / "files"), str(used), *commands.beat()]
        self.stack.supervisor.start(replace(child.program, command=command), tier)

    def is_ready(self) -> bool:
        return self._answer("/-/ready")[0] == 200

    def _ask(self, path: str) -> Any:
        return json.loads(self._answer(path)[1])["data"]

    def _answer(self, path: str) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body


def may_lease(folder: Path) -> bool:
    """Whether this file system has leases."""
    with NamedTemporaryFile(dir=folder) as file:
        try:
            fcntl.fcntl(file.file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError:
            return False
    return True


@contextmanager
def slow_to_open(file: Path, seconds: float) -> Iterator[None]:
    """Who opens it after this block waits so long, as at a storage that is slow: its lease has to be given back."""
    with file.open() as held:
        fcntl.fcntl(held, fcntl.F_SETSIG, signal.SIGURG)  # of which a process that does not ask for it hears nothing
        fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
        until(lambda: fcntl.fcntl(held, fcntl.F_GETLEASE) != fcntl.F_WRLCK, "that it is opened", PATIENCE)
        time.sleep(seconds)


def may_mount() -> bool:
    """Whether this system lets a process have a disk of its own."""
    return subprocess.run([*SMALL_DISK, "true"], capture_output=True, check=False).returncode == 0


def quick(rules: str) -> str:
    """The same expressions with less patience: Prometheus looks each second instead of each quarter of a minute.

    In 20 s a hundredth of the bytes of half an hour must have been checked.
    """
    return re.sub(r"\[\d+[md]\]", "[20s]", re.sub(r"for: \w+", "for: 1s", rules)).replace("> 1e8", "> 1e6")


def configuration(folder: Path, stack: Stack) -> Path:
    (folder / "rules.yml").write_text(quick(RULES.read_text()))
    ports = [f"127.0.0.1:{stack.ports_held.numbers[f'health of {name}']}" for name in ("worker", "sender", "beat")]
    api = {"job_name": "api", "authorization": {"credentials": stack.first["admin_key"]}}
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {"job_name": "tunery", "static_configs": [{"targets": ports}]},
            api | {"static_configs": [{"targets": [urlsplit(stack.address).netloc]}]},
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    return folder / "prometheus.yml"


@contextmanager
def watching(folder: Path) -> Iterator[Watched]:
    state = folder / "stack"
    state.mkdir()
    with (
        ports.held() as port,
        PortReservations(state / "ports.json") as held,
        running(StackOptions(state, isolated=True, durable=False, settings=SETTINGS), held) as stack,
    ):
        file = configuration(folder, stack)
        options = [f"--storage.tsdb.path={folder / 'series'}", f"--web.listen-address=127.0.0.1:{port}"]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(["prometheus", f"--config.file={file}", *options], stdout=log, stderr=log)
        try:
            wait_for_port(port)
            watched = Watched(stack, port)
            watched.until(watched.is_ready)
            watched.until(lambda: bool(watched.asks("count(tunery_info) == 4")))
            yield watched
        finally:
            server.kill()
            server.wait()
    postgres_home.remove(state)

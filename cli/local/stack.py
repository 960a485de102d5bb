"""All of Tunery on this machine: embedded Postgres and Valkey, the sandbox, api, worker, sender and beat."""

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli import secret_files
from cli.embedded import postgres, valkey
from cli.local import commands
from cli.local.environment import PROVIDER, StackOptions, environment_for, names_provider
from cli.processes import ports
from cli.processes.child import Child, Program
from cli.processes.ports import LOCALHOST, PortReservations
from cli.processes.supervisor import Supervisor, Tier
from cli.running_up import HEALTH_OF, OF_SERVERS

API_GRACE = 5  # seconds that answers may take when all is stopped
FIRST = "first.json"
OWNER_URL = "TUNERY_MIGRATION_DATABASE_URL"
ACCOUNTS = "FIRST_ACCOUNTS"
DIALECT = "TUNERY_PROVIDER__DIALECT"
IsReady = Callable[[], bool]
NOTHING: Mapping[str, str] = {}
_PATHS = {"fireworks": "/v1/accounts/sandbox"}  # of an account at the sandbox, by its wire, where it is not `/v1`


@contextmanager
def running(options: StackOptions, ports_held: PortReservations) -> Iterator["Stack"]:
    """Everything is ready inside of the block, and nothing is left of it afterwards."""
    with Supervisor(options.stop_patience) as supervisor:
        stack = Stack(options, ports_held, supervisor)
        stack.start()
        yield stack


class Stack:
    """The servers of one state folder."""

    def __init__(self, options: StackOptions, ports_held: PortReservations, supervisor: Supervisor) -> None:
        self.options = options
        self.state = options.state
        self.logs = options.state / "logs"
        self.ports_held = ports_held
        self.supervisor = supervisor
        self.environ = environment_for(options)
        for folder in (self.logs, self.state / "files"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.trainers = ("", "")  # its address and key, once it has been started
        self.trouble: str | None = None  # why the servers run, but not all of them work
        self.trainer = options.trainer
        trains_only = self.trainer is not None and self.trainer.is_only_provider
        self.uses_sandbox = not trains_only and not names_provider(self.environ)
        self.address = f"http://{LOCALHOST}:{ports_held.claim('api', options.port)}"
        self.base_url = f"{self.address}/v1"

    @property
    def provider(self) -> str:
        named = "the sandbox, which learns nothing" if self.uses_sandbox else self.environ[PROVIDER[0]]
        return f"{named}, and with the trainer, which learns" if self.trainer else named

    @property
    def first(self) -> dict[str, Any]:
        """The first project's key, and what else cli.local.seed has made."""
        return secret_files.read_json(self.state / FIRST)

    def start(self) -> None:
        """Everything at once, since importing is what takes the time; what must wait for another one does so itself."""
        patience = 0 if self.environ.get("DATABASE_URL") else 30  # one that is not ours to start runs, or does not
        start_postgres, valkey_is_ready = self._prepare_postgres(), self._start_valkey()
        sandbox_is_ready, trainer_is_ready = self._start_sandbox(), self._start_trainer()
        self._start("api", commands.api(LOCALHOST, self.ports_held.numbers["api"], grace=API_GRACE))
        self._start("worker", commands.worker(), more=self._health("worker"))
        self._start("sender", commands.sender(), more=self._health("sender"))
        migrate = self._start(
            "migrate", commands.first(self.state / FIRST, patience), owner=True, more=self._accounts()
        )
        postgres_is_ready = start_postgres()
        self.supervisor.wait_until(valkey_is_ready, "Valkey", but=migrate)
        self.supervisor.wait_until(postgres_is_ready, "Postgres", but=migrate)
        self.supervisor.finish(migrate)
        self._start("beat", commands.beat(), more=self._health("beat"))
        self.supervisor.wait_until(sandbox_is_ready, "The sandbox")
        self.supervisor.wait_until(trainer_is_ready, "The trainer")
        self.supervisor.wait_until(self._api_is_ready, "The api")
        self.ports_held.release()

    def _prepare_postgres(self) -> Callable[[], IsReady]:
        """Its address is known before its data folder is made, which takes half a second at the first start."""
        if self.environ.get("DATABASE_URL"):
            return lambda: _at_once
        port = self.ports_held.claim("postgres")
        cluster = postgres.find_or_prepare(self.state)
        self.environ["DATABASE_URL"] = cluster.servers_url(port)
        self.environ[OWNER_URL] = cluster.url(port)

        def start() -> IsReady:
            program = cluster.ready_to_start(port, log=self._log("postgres"), durable=self.options.durable)
            server = self.supervisor.start(program, Tier.STORES)
            return lambda: cluster.is_ready(server)

        return start

    def _start_valkey(self) -> IsReady:
        if self.environ.get("REDIS_URL"):
            return _at_once
        port = self.ports_held.claim("valkey")
        broker = valkey.find_or_prepare(self.state)
        self.environ["REDIS_URL"] = broker.url(port)
        self.supervisor.start(
            broker.ready_to_start(port, log=self._log("valkey"), durable=self.options.durable), Tier.STORES
        )
        return lambda: broker.is_ready(port)

    def _start_sandbox(self) -> IsReady:
        if not self.uses_sandbox:
            return _at_once
        port, key = self.ports_held.claim("sandbox"), secret_files.find_or_make(self.state / "sandbox_key")
        path = _PATHS.get(self.environ.get("SANDBOX_WIRE", ""), "/v1")
        self.environ |= dict(zip(PROVIDER, (f"http://{LOCALHOST}:{port}{path}", key), strict=True))
        self.environ["SANDBOX_API_KEY"] = key
        folder = self.state / "sandbox" if self.options.durable else None
        self._start("sandbox", commands.sandbox(port, folder), Tier.PROVIDER)
        return lambda: ports.is_listening(port)

    def _start_trainer(self) -> IsReady:
        """Knows nothing of Tunery's secrets: it is a provider like any other."""
        if self.trainer is None:
            return _at_once
        port, key = self.ports_held.claim("trainer"), secret_files.find_or_make(self.state / "trainer_key")
        self.trainers = (f"http://{LOCALHOST}:{port}/v1", key)
        if self.trainer.is_only_provider:
            self.environ |= dict(zip(PROVIDER, self.trainers, strict=True)) | {DIALECT: "trainer"}
        environ = {name: value for name, value in self.environ.items() if not name.startswith(OF_SERVERS)}
        variables = environ | self.trainer.variables(key)
        program = Program("trainer", self.trainer.command(port), self._log("trainer"), variables, commands.ROOT)
        self.supervisor.start(program, Tier.PROVIDER)
        return lambda: ports.is_listening(port)

    def _accounts(self) -> dict[str, str]:
        """The first project's own, where it has more than one; what `cli.local.seed` makes of it."""
        provider = dict(zip(("base_url", "api_key"), map(self.environ.__getitem__, PROVIDER), strict=True))
        dialect = self.environ.get(DIALECT) or "openai"
        accounts = [{"name": "sandbox" if self.uses_sandbox else "provider", "dialect": dialect, **provider}]
        if self.trainer and not self.trainer.is_only_provider:
            base_url, key = self.trainers
            accounts.insert(0, {"name": "trainer", "base_url": base_url, "api_key": key, "dialect": "trainer"})
        return {ACCOUNTS: json.dumps(accounts)}

    def _start(
        self,
        name: str,
        command: list[str],
        tier: Tier = Tier.SERVERS,
        *,
        owner: bool = False,
        more: Mapping[str, str] = NOTHING,
    ) -> Child:
        """Only the `owner` of the tables gets the URL of that login."""
        environ = {key: value for key, value in self.environ.items() if owner or key != OWNER_URL} | dict(more)
        return self.supervisor.start(Program(name, command, self._log(name), environ, commands.ROOT), tier)

    def _health(self, name: str) -> dict[str, str]:
        """Where this server answers /readyz and /metrics: on one machine, no two can do so at one address."""
        return {"TUNERY_HEALTH_ADDRESS": f"{LOCALHOST}:{self.ports_held.claim(HEALTH_OF + name)}"}

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _api_is_ready(self) -> bool:
        connection = http.client.HTTPConnection(LOCALHOST, self.ports_held.numbers["api"], timeout=5)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            found = json.loads(answer.read())
            self.trouble = found["checks"]["redis"] if found["status"] == "degraded" else None
            return answer.status == 200
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()


def _at_once() -> bool:
    """A server that is not ours to start is taken to run."""
    return True

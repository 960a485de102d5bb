"""A Postgres of our own: made once, started on a free port, and found again after a kill -9."""

import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import psutil

from cli import secret_files
from cli.embedded.binaries import find_pg_bin
from cli.embedded.postgres_home import account_for_postgres, place_for_data, programs_for
from cli.processes.child import Account, Child, ProcessDied, Program
from cli.processes.ports import LOCALHOST

USER = "tunery"  # owns the tables, and is a superuser
LOGIN = "tunery_login"  # of the servers; `migrate` makes it
DATABASE = "postgres"
STATUS_LINE = 7  # of postmaster.pid, counted from 0: «starting», «ready», «stopping»
SURVIVORS_PATIENCE = 10  # seconds
CLEAN_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C"}  # no PGPORT, PGDATA, PGOPTIONS … of the caller
INITDB_OPTIONS = ("--no-sync", "--no-instructions", "--locale=C", "--encoding=UTF8", "--auth=scram-sha-256")
SETTINGS = {
    "listen_addresses": LOCALHOST,
    "unix_socket_directories": "",  # the path of a socket is limited to 107 bytes, and a clone may lie deep
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Cluster:
    """Where a Postgres keeps its data, which programs run it, and as whom."""

    place: Path
    programs: Path
    account: Account | None
    password: str
    login_password: str

    @property
    def data(self) -> Path:
        return self.place / "data"

    def url(self, port: int) -> str:
        return f"postgresql+psycopg://{USER}:{self.password}@{LOCALHOST}:{port}/{DATABASE}"

    def servers_url(self, port: int) -> str:
        """The URL of the servers' login, which may read and write rows and nothing else."""
        return f"postgresql+psycopg://{LOGIN}:{self.login_password}@{LOCALHOST}:{port}/{DATABASE}"

    def ready_to_start(self, port: int, *, log: Path, durable: bool) -> Program:
        """The server, whose data folder is made now if there is none; `is_ready` says when it takes clients."""
        if self.data.exists():
            end_survivors(self.data)
        else:
            self._make(log)
        settings = SETTINGS | ({} if durable else FORGETFUL) | {"port": str(port)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return self._program("postgres", ["-D", str(self.data), *options], log)

    def is_ready(self, server: Child) -> bool:
        """It says so in its lock file, where pg_ctl reads it too: that takes no connection and no password."""
        lines = lock_file_lines(self.data)
        return len(lines) > STATUS_LINE and lines[0] == str(server.pid) and lines[STATUS_LINE].strip() == "ready"

    def _make(self, log: Path) -> None:
        """In a draft that is renamed when it is complete: an interrupted run leaves no half of a cluster."""
        draft, password_file = self.place / "data.draft", self.place / "password.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        secret_files.write(password_file, self.password)
        if self.account:
            os.chown(draft, self.account.uid, self.account.gid)
            os.chown(password_file, self.account.uid, self.account.gid)
        options = ["-D", str(draft), "-U", USER, f"--pwfile={password_file}", *INITDB_OPTIONS]
        initdb = self._program("initdb", options, log).start()
        try:
            if initdb.process.wait() != 0:
                raise ProcessDied(initdb.last_words())
        finally:
            initdb.kill()
            password_file.unlink()
        draft.rename(self.data)

    def _program(self, name: str, arguments: list[str], log: Path) -> Program:
        return Program(
            name,
            [str(self.programs / name), *arguments],
            log,
            environ=CLEAN_ENVIRONMENT,
            cwd=self.place,
            account=self.account,
            farewell=signal.SIGINT,  # Postgres's «fast» shutdown; on SIGTERM it waits for its clients to leave
        )


def find_or_prepare(state: Path) -> Cluster:
    """The cluster of this state folder, or of what will become one: nothing runs yet, but its address is known."""
    account = account_for_postgres()
    place = place_for_data(state, account)
    programs = programs_for(account, find_pg_bin(), place)
    passwords = [secret_files.find_or_make(place / name) for name in ("password", "login-password")]
    return Cluster(place, programs, account, *passwords)


def lock_file_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, PermissionError):
        return []


def end_survivors(data: Path) -> None:
    """Makes sure that no server of an earlier, killed run works in this folder, and only then drops its lock file.

    Postgres looks at the lock's process number alone, and would not start if another program has that number by now.
    Each of its processes works in the data folder, so these are found by their working directory.
    """
    if not (lines := lock_file_lines(data)):
        return
    survivors = [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(data.resolve())]
    for process in survivors:
        if str(process.pid) == lines[0]:
            process.send_signal(signal.SIGINT)
    _, stubborn = psutil.wait_procs(survivors, timeout=SURVIVORS_PATIENCE if survivors else 0)
    for process in stubborn:
        process.kill()
    psutil.wait_procs(stubborn, timeout=SURVIVORS_PATIENCE)
    (data / "postmaster.pid").unlink(missing_ok=True)

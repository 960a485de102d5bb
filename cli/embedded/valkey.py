"""A Valkey of our own: a broker without a container, behind a password."""

import socket
from dataclasses import dataclass
from pathlib import Path

from cli import secret_files
from cli.embedded.binaries import find_valkey
from cli.processes.child import Program
from cli.processes.ports import LOCALHOST


@dataclass(frozen=True)
class Broker:
    """Where a Valkey keeps its data, and which program runs it."""

    place: Path
    program: Path
    password: str

    def url(self, port: int) -> str:
        return f"redis://:{self.password}@{LOCALHOST}:{port}/0"

    def ready_to_start(self, port: int, *, log: Path, durable: bool) -> Program:
        """Its settings go in by a file: on the command line every user of the machine could read the password."""
        settings = {
            "bind": LOCALHOST,
            "port": port,
            "dir": f'"{self.place}"',
            "requirepass": self.password,
            "save": '""',
            "appendonly": "yes" if durable else "no",
            "maxmemory-policy": "noeviction",
        }
        configuration = self.place / "valkey.conf"
        secret_files.write(configuration, "".join(f"{name} {value}\n" for name, value in settings.items()))
        return Program("valkey", [str(self.program), str(configuration)], log, cwd=self.place)

    def is_ready(self, port: int) -> bool:
        """Whether it answers to its own password: another server on this port does not."""
        try:
            with socket.create_connection((LOCALHOST, port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                connection.shutdown(socket.SHUT_WR)
                with connection.makefile("rb") as answers:
                    return answers.read() == b"+OK\r\n+PONG\r\n"
        except OSError:
            return False


def find_or_prepare(state: Path) -> Broker:
    """The broker of this state folder; nothing runs yet, but its address is known."""
    place = state / "valkey"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Broker(place, find_valkey(), secret_files.find_or_make(place / "password"))

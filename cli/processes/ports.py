"""Free ports that stay free until the server that they were chosen for has started."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cli import secret_files
from cli.failure import Failure

LOCALHOST = "127.0.0.1"


def claim(port: int = 0) -> socket.socket:
    """A socket bound to the port (0: any free one); OSError when it is taken.

    It does not listen, so a server that sets SO_REUSEADDR, as all of ours do, can take the port over while nobody else
    is given it. Close it when the server listens.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((LOCALHOST, port))
    except OSError:
        holder.close()
        raise
    return holder


def check_free(host: str, port: int) -> None:
    """Raises `Failure` if nobody can listen at this address, before a server would say so with a traceback."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no host name"
        raise Failure(f"Nobody can listen at {host}:{port}: {reason}. Name another address in HOST or PORT.") from None


def is_listening(port: int) -> bool:
    """Whether somebody answers there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOCALHOST, port)) == 0


@contextmanager
def held(port: int = 0) -> Iterator[int]:
    """The number of a port that nobody else is given meanwhile."""
    with claim(port) as holder:
        yield holder.getsockname()[1]


class PortReservations:
    """Ports by name, held until the block ends. The next start gets the same ones, if they are free by then."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.numbers: dict[str, int] = secret_files.read_json(path)
        self.holders = ExitStack()

    def __enter__(self) -> "PortReservations":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def claim(self, name: str, wanted: int = 0) -> int:
        """The port for this name: the wanted one and no other, or the one of last time, or any that is free."""
        if wanted:
            holder = self._claim_wanted(name, wanted)
        else:
            try:
                holder = claim(self.numbers.get(name, 0))
            except OSError:
                holder = claim()
        self.holders.enter_context(holder)
        self.numbers[name] = holder.getsockname()[1]
        secret_files.write_json(self.path, self.numbers)
        return self.numbers[name]

    def release(self) -> None:
        """Once the servers listen there themselves."""
        self.holders.close()

    def _claim_wanted(self, name: str, wanted: int) -> socket.socket:
        try:
            return claim(wanted)
        except OSError as error:
            raise Failure(
                f"Port {wanted} cannot be had for the {name}: {error.strerror}. Name another in PORT, or leave it out."
            ) from None

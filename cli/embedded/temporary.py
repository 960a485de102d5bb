"""Real Postgres and Valkey for as long as a `with` block, for the tests and whoever wants no more than these two.

    with embedded.postgres() as database_url, embedded.valkey() as redis_url:
        ...

Without a folder everything is thrown away afterwards; with one, the next start finds its data again. They listen on
127.0.0.1 alone, have a random password, and run for root and for anybody, also below folders of mode 0700.

`python -m cli.embedded.temporary FOLDER` runs both until its standard input closes, and writes the addresses to
the files `database_url` and `redis_url` there: several processes of a test run share them, and nothing is left if it
is killed.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli import secret_files
from cli.embedded import postgres as postgres_server
from cli.embedded import postgres_home
from cli.embedded import valkey as valkey_server
from cli.processes import ports


@contextmanager
def postgres(state: Path | None = None, *, port: int = 0, durable: bool = False) -> Iterator[str]:
    """Runs Postgres, and yields its address for SQLAlchemy (`postgresql+psycopg://…`).

    `durable=False` may lose data when the machine stops: right for tests and for the demo. Its log is `postgres.log`.
    """
    with _folder(state) as folder, ports.held(port) as number:
        cluster = postgres_server.find_or_prepare(folder)
        server = cluster.ready_to_start(number, log=folder / "postgres.log", durable=durable).start()
        try:
            server.wait_until(lambda: cluster.is_ready(server))
            yield cluster.url(number)
        finally:
            server.stop()


@contextmanager
def valkey(state: Path | None = None, *, port: int = 0, durable: bool = False) -> Iterator[str]:
    """Runs Valkey, and yields its address (`redis://…`); `durable=True` loses one second at most."""
    with _folder(state) as folder, ports.held(port) as number:
        broker = valkey_server.find_or_prepare(folder)
        server = broker.ready_to_start(number, log=folder / "valkey.log", durable=durable).start()
        try:
            server.wait_until(lambda: broker.is_ready(number))
            yield broker.url(number)
        finally:
            server.stop()


@contextmanager
def _folder(state: Path | None) -> Iterator[Path]:
    """The state folder itself, or one that is thrown away, together with what Postgres had to put elsewhere."""
    if state is not None:
        yield state
        return
    made = Path(tempfile.mkdtemp(prefix="tunery-"))
    made.chmod(0o711)
    try:
        yield made
    finally:
        postgres_home.remove(made)


def main() -> None:
    folder = Path(sys.argv[1])
    try:
        with valkey() as redis_url:
            secret_files.write(folder / "redis_url", redis_url)
            with postgres() as database_url:
                secret_files.write(folder / "database_url", database_url)
                sys.stdin.read()
    except Exception:
        (folder / "failed").touch()
        raise


if __name__ == "__main__":
    main()

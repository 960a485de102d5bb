"""Sends what a read needs to Postgres and waits for it on the event loop: one message, one answer, no thread.

It calls libpq itself. A thread cost a read 0.25 ms of CPU, and psycopg's own pipeline, which looks at the socket again
for each statement, 0.15 ms; this costs 0.05. The connections are beside the pool of the sessions, in the same limit.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import anyio
import psycopg
from psycopg import AsyncConnection
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool

from shared.database import as_of_session, get_engine, has_arrived, open_async
from shared.db import connections
from shared.metrics.instruments import POOL_CONNECTIONS
from shared.settings import get_settings

Row = tuple[Any, ...]
Found = TypeVar("Found")
MANY_ROWS = 200
_FULL_BUFFER_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Statement:
    """Its parameters are `$1`, `$2` … in `text`. Postgres keeps the plan of one that is `prepared`."""

    text: bytes
    values: Sequence[Any]
    prepared: bool = True


async def ask(*statements: Statement) -> list[list[Row]]:
    """Return the rows of each statement. All are one transaction. Raises the errors that a session raises."""
    try:
        return await _connections().ask(statements)
    except psycopg.Error as error:
        raise as_of_session(error) from error


async def worked(work: Callable[[], Found], rows: int) -> Found:
    """Do work on so many rows: in a thread if they are many, as all other requests would have to wait for it."""
    return await run_in_threadpool(work) if rows > MANY_ROWS else work()


async def close() -> None:
    """Close the connections of this event loop."""
    if (found := _of_loops.pop(asyncio.get_running_loop(), None)) is not None:
        found.close()


class _Connections:
    """Those of one event loop to the database of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._idle: list[_Connection] = []
        self._free = asyncio.Semaphore(connections.of_reads(get_settings().api_connections))
        self._in_use = POOL_CONNECTIONS.labels("in_use")

    async def ask(self, statements: Sequence[Statement]) -> list[list[Row]]:
        async with self._free:
            self._in_use.inc()
            connection = None
            try:
                connection = self._open_one() or _Connection(await open_async())
                rows = await connection.ask(statements)
            except BaseException:  # there may be more to come, also if the request was cancelled
                if connection is not None:
                    connection.close()
                raise
            finally:
                self._in_use.dec()
            self._idle.append(connection)
            return rows

    def _open_one(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open():
                return connection
            connection.close()
        return None

    def close(self) -> None:
        for connection in self._idle:
            connection.close()


_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Connections] = WeakKeyDictionary()


def _connections() -> _Connections:
    loop, engine = asyncio.get_running_loop(), get_engine()
    found = _of_loops.get(loop)
    if found is None or found.engine is not engine:
        if found is not None:
            found.close()
        found = _of_loops[loop] = _Connections(engine)
    return found


class _Connection:
    """One connection, always in libpq's pipeline mode. What is sent up to a sync is one transaction."""

    def __init__(self, driver: AsyncConnection[Any]) -> None:
        self._driver, self._libpq = driver, driver.pgconn
        self._socket = driver.fileno()
        self._loop = asyncio.get_running_loop()
        self._arrival: asyncio.Future[None] | None = None
        self._names: dict[bytes, bytes] = {}  # of prepared statements, by their text
        self._values = Transformer(driver)
        self._libpq.enter_pipeline_mode()
        self._loop.add_reader(self._socket, self._receive)

    async def ask(self, statements: Sequence[Statement]) -> list[list[Row]]:
        results = await self._results([result for each in statements for result in self._send(each)])
        return [await self._rows(result) for result in results]

    def is_open(self) -> bool:
        return not (self._driver.closed or has_arrived(self._socket))

    def close(self) -> None:
        if not self._driver.closed:
            self._loop.remove_reader(self._socket)
            self._libpq.finish()

    def _send(self, statement: Statement) -> list[bool]:
        """Returns for each result that will come whether it has rows."""
        formats = [PyFormat.TEXT] * len(statement.values)
        values = self._values.dump_sequence(statement.values, formats)
        if not statement.prepared:
            self._libpq.send_query_params(statement.text, values)
            return [True]
        if (name := self._names.get(statement.text)) is not None:
            self._libpq.send_query_prepared(name, values)
            return [True]
        name = self._names[statement.text] = b"read_%d" % len(self._names)
        self._libpq.send_prepare(name, statement.text)
        self._libpq.send_query_prepared(name, values)
        return [False, True]

    async def _results(self, have_rows: Sequence[bool]) -> list[PGresult]:
        self._libpq.pipeline_sync()
        while self._libpq.flush():
            await anyio.sleep(_FULL_BUFFER_SECONDS)
        results = []
        for has_rows in have_rows:
            result = await self._next()
            if result.status == ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(result)
            if has_rows:
                results.append(result)
            self._libpq.get_result()  # None: the end of this statement
        await self._next()  # the sync
        return results

    async def _next(self) -> PGresult:
        while self._libpq.is_busy():
            self._arrival = self._loop.create_future()
            await self._arrival
        result = self._libpq.get_result()
        if result is None:
            raise psycopg.OperationalError("Postgres has sent fewer results than statements")
        return result

    async def _rows(self, result: PGresult) -> list[Row]:
        self._values.set_pgresult(result)
        return await worked(lambda: self._values.load_rows(0, result.ntuples, tuple), result.ntuples)

    def _receive(self) -> None:
        """Called when something has come: an answer, a notice, or the end of the connection."""
        try:
            self._libpq.consume_input()
        except psycopg.Error:
            self.close()  # who waits for an answer is told so by libpq
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

"""Parts that move: streams that show the same share one drawing, and no project's streams hold up another's."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.requests import Request

from api.dashboard.live import drawing, parts
from api.dashboard.live.changes import ProjectJobs
from api.dashboard.live.drawing import Shown
from api.dashboard.session import cookie
from api.streams.polling import Cursor
from shared.database import transaction
from shared.db.times import utc_now
from shared.projects import callers
from shared.projects import service as projects
from shared.projects.callers import Presented
from shared.projects.models import Project
from tests.servers import PATIENCE
from tests.worker.support import change
from tests.world import Person

LIST = Shown("proj_1", "http://server/dashboard/jobs/live", is_admin=False)


def in_time(waits: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def patiently() -> None:
        async with asyncio.timeout(PATIENCE):
            await waits()

    asyncio.run(patiently())


def test_streams_that_show_the_same_share_a_drawing() -> None:
    drawings = []

    def draw() -> tuple[str, bool]:
        drawings.append("")
        return str(len(drawings)), False

    async def many() -> None:
        streams = [drawing.of(LIST) for _ in range(500)]
        assert await asyncio.gather(*(each.next(draw) for each in streams)) == [("1", False)] * 500

    in_time(many)


def test_what_changes_during_a_drawing_is_in_the_next() -> None:
    begun, may_end = threading.Event(), threading.Event()

    def draw() -> tuple[str, bool]:
        begun.set()
        may_end.wait(PATIENCE)
        return "before", False

    async def both() -> None:
        first = asyncio.create_task(drawing.of(LIST).next(draw))
        await asyncio.to_thread(begun.wait, PATIENCE)
        second = asyncio.create_task(drawing.of(LIST).next(lambda: ("after", False)))
        await asyncio.sleep(0)
        may_end.set()
        assert (await first, await second) == (("before", False), ("after", False))

    in_time(both)


def test_a_project_with_many_streams_does_not_hold_up_another() -> None:
    may_end = threading.Event()

    def slow() -> tuple[str, bool]:
        may_end.wait(PATIENCE)
        return "", False

    async def others() -> None:
        hers = [drawing.of(LIST._replace(address=str(number))) for number in range(20)]
        waiting = [asyncio.create_task(each.next(slow)) for each in hers]
        await asyncio.sleep(0.1)
        assert await drawing.of(LIST._replace(project_id="proj_2")).next(lambda: ("his", False)) == ("his", False)
        may_end.set()
        await asyncio.gather(*waiting)

    in_time(others)


def blocks_of(ends_at: float, draw: Callable[[Cursor[str]], None] = lambda _: None) -> list[bytes]:
    """Return what is streamed with a session that ends then."""
    found: list[bytes] = []
    session = cookie.Session("sk-tun-x", None, int(ends_at))
    scope = {"type": "http", "path": "/dashboard/jobs/live", "headers": [], "server": ("server", 80)}
    request = Request({**scope, "query_string": b"", cookie.SCOPE: session})

    async def read() -> None:
        jobs = ProjectJobs()
        cursor = Cursor(jobs, Presented("sk-tun-x", ""))

        def drawn() -> tuple[str, bool]:
            draw(cursor)
            return "part", False

        found.extend([block async for block in parts.drawn(request, "proj_1", cursor, drawn)])

    in_time(read)
    return found


def test_a_stream_ends_with_its_session() -> None:
    assert blocks_of(time.time() + 2) in ([], [parts.message("part")])


def test_a_key_that_is_revoked_during_a_drawing_is_sent_nothing_of_it() -> None:
    def revoke(cursor: Cursor[str]) -> None:
        cursor.is_over = True

    assert blocks_of(time.time() + 3600, revoke) == []


def test_the_streams_of_an_admin_key_end_when_the_chosen_project_is_archived(alice: Person) -> None:
    with transaction() as session:
        _, secret = projects.create_api_key(session, None, "operator")
    presented = Presented(secret, "", alice.project_id)
    with transaction() as session:
        assert callers.still_valid(session, [presented], "jobs:read") == {presented}
    change(Project, alice.project_id, archived_at=utc_now())
    with transaction() as session:
        assert callers.still_valid(session, [presented], "jobs:read") == set()

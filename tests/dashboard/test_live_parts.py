"""Parts that move: streams that show the same share one drawing, and no project's streams hold up another's."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.to_thread
import pytest
from starlette.requests import Request

from api.dashboard.live import drawing, parts
from api.dashboard.live.changes import ProjectJobs
from api.dashboard.live.drawing import Shown
from api.dashboard.session import cookie
from api.streams.polling import Cursor
from shared.database import transaction
from shared.db.times import utc_now
from shared.jobs.models import JobEvent
from shared.projects import callers
from shared.projects import service as projects
from shared.projects.callers import Caller, Presented
from shared.projects.models import Project
from tests.dashboard.signed_in import a_browser, sign_in
from tests.dashboard.test_many_jobs import statements
from tests.servers import PATIENCE
from tests.worker.support import change
from tests.world import Person

LIST = Shown("proj_1", "http://server/dashboard/jobs/live", is_admin=False, scopes=frozenset())


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


class Clock:
    """A time that passes only by what sleeps, and by drawings."""

    def __init__(self) -> None:
        self.time = 100.0

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


def test_after_a_drawing_there_is_a_pause_as_long_as_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, began = Clock(), []
    monkeypatch.setattr(drawing, "time", clock)
    monkeypatch.setattr(drawing, "anyio", SimpleNamespace(sleep=clock.sleep, to_thread=anyio.to_thread))

    async def three() -> None:
        shared, waiting = drawing.of(LIST), []
        loop = asyncio.get_running_loop()

        def draw() -> tuple[str, bool]:
            began.append(clock.time)
            if len(began) < 3:  # there is news while it is drawn
                asyncio.run_coroutine_threadsafe(more(), loop).result(PATIENCE)
            clock.time += 7 if len(began) == 1 else 0.25
            return "", False

        async def more() -> None:
            waiting.append(asyncio.create_task(shared.next(draw)))
            await asyncio.sleep(0)

        await shared.next(draw)
        while waiting:
            await waiting.pop()

    in_time(three)
    assert [later - earlier for earlier, later in pairwise(began)] == [14, drawing.LEAST_SECONDS_BETWEEN]


def told_of(person: Person, job_id: str, step: int) -> None:
    with transaction() as session:
        data = {"step": step, "train_loss": 1 / step}
        session.add(JobEvent(project_id=person.project_id, job_id=job_id, type="metrics", message="", data=data))


def test_the_losses_of_jobs_that_have_ended_are_read_once(alice: Person) -> None:
    ended, moving = alice.create_job(), alice.create_job()
    for id in (ended, moving):
        told_of(alice, id, 2)
    alice.http.post(f"/fine_tuning/jobs/{ended}/cancel").raise_for_status()
    with a_browser(alice.base_url) as browser, statements("max(array[step, loss])") as asked:
        sign_in(browser, alice.api_key)
        with browser.stream("GET", "/jobs/compare/live", params={"job": [ended, moving]}) as stream:
            parts_sent = (text for text in stream.iter_text() if "data: " in text)
            assert "0.5" in next(parts_sent)
            told_of(alice, moving, 4)
            text = next(each for each in parts_sent if "0.25" in each)
    assert "0.5" in text
    assert [values["ids"] for _, values in asked][:2] == [[ended, moving], [moving]]


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

        found.extend([block async for block in parts.drawn(request, Caller("org_1", "key_1", "proj_1"), cursor, drawn)])

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

"""Measures the page of a running job with 10,000 metric points, eight such jobs compared, and the api under 100 open
pages of running jobs.

`python -m benchmarks.dashboard`; needs Chromium. Bytes are those on the wire, with headers: first with an empty cache,
then with what the first load left there. The CPU is measured over 60 s, in which each page is drawn anew once.
"""

import asyncio
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any
from urllib.parse import urlencode

import httpx2
from playwright.sync_api import Browser, Page, StorageState, sync_playwright
from sqlalchemy import insert

from benchmarks.stack import Measured, cpu_seconds, measured_stack, print_table, uploaded
from shared.database import transaction
from shared.jobs.models import Job, JobEvent, JobStatus

POINTS, COMPARED, PAGES, LOADS, SECONDS = 10_000, 8, 100, 5, 60.0
CHROMIUM = os.environ.get("TUNERY_TEST_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
Row = tuple[str, str, str]


@dataclass(frozen=True)
class Load:
    paint_ms: float
    wire_bytes: int


def main() -> None:
    with measured_stack(TUNERY_LOG_LEVEL="warning") as stack:
        os.environ.update(stack.environ)
        dashboard = stack.base_url.removesuffix("/v1") + "/dashboard"
        ids = _running_jobs(stack)
        pages = [f"{dashboard}/jobs/{id}" for id in ids]
        compared = f"{dashboard}/jobs/compare?{urlencode([('job', id) for id in ids[:COMPARED]])}"
        with _browser() as browser:
            signed_in = _sign_in(browser, stack)
            loads = [_loads(browser, signed_in, pages[0]) for _ in range(LOADS)]
            beside = [_loads(browser, signed_in, compared) for _ in range(LOADS)]
        share = asyncio.run(_idle_share(stack, dashboard, pages))
    print_table(
        [
            *_rows("a job, first load", "350", [first for first, _ in loads]),
            *_rows("a job, later", "40", [later for _, later in loads]),
            *_rows(f"{COMPARED} jobs compared, first load", "350", [first for first, _ in beside]),
            *_rows(f"{COMPARED} jobs compared, later", "40", [later for _, later in beside]),
            (f"{PAGES} open pages, nothing happens: CPU of the api", "≤ 5 %", f"{share:.1%}"),
        ]
    )


def _rows(name: str, most_kb: str, loads: list[Load]) -> list[Row]:
    paints, sizes = [each.paint_ms for each in loads], [each.wire_bytes for each in loads]
    return [
        (
            f"{POINTS:,} points each, {name}: first paint, median / worst of {LOADS}",
            "≤ 1 s",
            f"{median(paints) / 1000:.2f} s / {max(paints) / 1000:.2f} s",
        ),
        ("  bytes on the wire", f"≤ {most_kb} KB", f"{median(sizes) / 1000:.0f} KB"),
    ]


def _running_jobs(stack: Measured) -> list[str]:
    """Running jobs without a due step, so that the worker ignores them; those that are compared have all the points."""
    client = stack.openai
    made = client.fine_tuning.jobs.create(training_file=uploaded(client), model="gpt-4o-mini")
    client.fine_tuning.jobs.cancel(made.id)
    running: dict[str, Any] = {"status": JobStatus.RUNNING, "due_at": None, "provider_job_id": None, "request": None}
    running |= {"step": POINTS, "total_steps": 2 * POINTS}
    with transaction() as session:
        values = session.get_one(Job, made.id).model_dump(exclude={"id", "created_at", "finished_at"})
        jobs = [Job(**values | running) for _ in range(PAGES)]
        session.add_all(jobs)
        session.flush()
        for job in jobs[:COMPARED]:
            session.execute(insert(JobEvent), [_point(job, step).model_dump() for step in range(1, POINTS + 1)])
        return [job.id for job in jobs]


def _point(job: Job, step: int) -> JobEvent:
    data: dict[str, Any] = {"step": step, "total_steps": 2 * POINTS, "train_loss": 2 / step**0.3}
    data |= {"train_mean_token_accuracy": 1 - 0.5 / step**0.1}
    data |= {"valid_loss": 2.1 / step**0.3} if step % 10 == 0 else {}
    return JobEvent(project_id=job.project_id, job_id=job.id, type="metrics", message=f"Step {step}", data=data)


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def _sign_in(browser: Browser, stack: Measured) -> StorageState:
    """The cookies of a session, for windows whose caches are empty."""
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(stack.base_url.removesuffix("/v1") + "/dashboard/sign-in")
        page.get_by_label("API key").fill(stack.api_key)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "sign-in" not in url)
        return context.storage_state()


def _loads(browser: Browser, signed_in: StorageState, address: str) -> tuple[Load, Load]:
    with browser.new_context(storage_state=signed_in) as context:
        page = context.new_page()
        return _load(page, address), _load(page, address)


def _load(page: Page, address: str) -> Load:
    """Until the charts are drawn; of the stream that stays open, what has come by then."""
    page.goto("about:blank")
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    received: dict[str, int] = defaultdict(int)
    for event in ("Network.responseReceived", "Network.dataReceived", "Network.loadingFinished"):
        network.on(event, lambda said: _note(received, said))
    page.goto(address)
    page.locator("[data-chart] svg").first.wait_for()
    page.wait_for_timeout(1000)
    network.detach()
    return Load(page.evaluate(FIRST_PAINT), sum(received.values()))


def _note(received: dict[str, int], said: dict[str, Any]) -> None:
    """Headers, then pieces of the body; what is said at the end is the sum of the whole answer."""
    id: str = said["requestId"]
    if "response" in said:
        received[id] += 0 if said["response"].get("fromDiskCache") else int(said["response"]["encodedDataLength"])
    elif "dataLength" in said:
        received[id] += int(said["encodedDataLength"])
    else:
        received[id] = int(said["encodedDataLength"])


async def _idle_share(stack: Measured, dashboard: str, pages: list[str]) -> float:
    """The share of a core that the api takes while all pages are open."""
    headers, limits = {"sec-fetch-site": "same-origin"}, httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(headers=headers, timeout=None, limits=limits) as client, AsyncExitStack() as streams:
        await client.post(f"{dashboard}/sign-in", data={"key": stack.api_key})
        opened = [await streams.enter_async_context(client.stream("GET", f"{page}/live")) for page in pages]
        if any(each.status_code != 200 for each in opened):
            raise RuntimeError(f"streams were refused: {sorted({each.status_code for each in opened})}")
        readers = [asyncio.create_task(_read(each)) for each in opened]
        await asyncio.sleep(10)  # all are drawn
        before = cpu_seconds(stack.processes["api"])
        await asyncio.sleep(SECONDS)
        share = (cpu_seconds(stack.processes["api"]) - before) / SECONDS
        if ended := sum(reader.done() for reader in readers):
            raise RuntimeError(f"{ended} streams ended")
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        return share


async def _read(response: httpx2.Response) -> None:
    async for _ in response.aiter_raw():
        pass


if __name__ == "__main__":
    main()

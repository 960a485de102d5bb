"""The calls of Ray's Jobs API that the trainer needs. Each has a deadline, and says plainly why it did not succeed."""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any

import httpx2
import msgspec

logging.getLogger("httpx2").setLevel(logging.WARNING)  # it would log each look at each job

CALL_SECONDS = 15.0
MAX_LOG_ANSWER_BYTES = 8 * 1024 * 1024
WAITING, RUNNING, SUCCEEDED, STOPPED, FAILED = "PENDING", "RUNNING", "SUCCEEDED", "STOPPED", "FAILED"


class Trouble(Exception):
    """The cluster gave no usable answer; the sentence says which. Nothing is known of what was asked."""


class RayJob(msgspec.Struct):
    """A job as Ray knows it. `message` quotes at most 20,000 characters of its log."""

    status: str
    message: str | None = None
    error_type: str | None = None
    driver_exit_code: int | None = None

    @property
    def is_over(self) -> bool:
        return self.status in (SUCCEEDED, STOPPED, FAILED)


class RayJobs:
    def __init__(self, address: str, token: str) -> None:
        """`token`: of a cluster that asks for one, else empty."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx2.AsyncClient(base_url=address.rstrip("/"), headers=headers, timeout=CALL_SECONDS)

    async def submit(self, id: str, entrypoint: str, resources: Mapping[str, Any]) -> None:
        """Afterwards the job is there, once, however often this is called: Ray takes an id only once, for ever."""
        body = {"submission_id": id, "entrypoint": entrypoint, **resources}
        try:
            answer = await self._call("POST", "/api/jobs/", json=body)
            refused = "" if answer.is_success else _said(answer)
        except Trouble as lost:
            refused = str(lost)
        if refused and await self.find(id) is None:  # an id that is taken, too, is answered with an error
            raise Trouble(refused)

    async def find(self, id: str) -> RayJob | None:
        """None if the cluster does not know it."""
        answer = await self._call("GET", f"/api/jobs/{id}")
        if answer.status_code == 404:
            return None
        if not answer.is_success:
            raise Trouble(_said(answer))
        try:
            return msgspec.json.decode(answer.content, type=RayJob)
        except msgspec.DecodeError as error:
            raise Trouble(f"its answer is not that of a Ray cluster ({error})") from error

    async def stop(self, id: str) -> None:
        """SIGTERM for a running job, and SIGKILL 3 seconds later. A waiting one waits on until it would have run."""
        answer = await self._call("POST", f"/api/jobs/{id}/stop")
        if not answer.is_success and answer.status_code != 404:
            raise Trouble(_said(answer))

    async def log(self, id: str) -> str:
        """What the job wrote; empty if nobody has it any more, or if it is too long to be read."""
        read = b""
        try:
            async with asyncio.timeout(CALL_SECONDS), self._http.stream("GET", f"/api/jobs/{id}/logs") as answer:
                async for piece in answer.aiter_bytes():
                    read += piece
                    if len(read) > MAX_LOG_ANSWER_BYTES:
                        return ""
            return str(json.loads(read)["logs"]) if answer.is_success else ""
        except (httpx2.HTTPError, TimeoutError, ValueError, KeyError, TypeError):
            return ""

    async def close(self) -> None:
        await self._http.aclose()

    async def _call(self, method: str, path: str, **given: Any) -> httpx2.Response:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await self._http.request(method, path, **given)
        except TimeoutError:
            raise Trouble(f"no answer in {CALL_SECONDS:.0f} seconds") from None
        except httpx2.LocalProtocolError as error:  # its text may quote a header
            raise Trouble(type(error).__name__) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Trouble(str(error) or type(error).__name__) from error


def _said(answer: httpx2.Response) -> str:
    """The status, and the last line of the text: Ray answers with tracebacks."""
    lines = [line for line in answer.text.splitlines() if len(line.strip()) > 1]
    return f"it answers {answer.status_code}: {lines[-1].strip()[:300] if lines else 'nothing more'}"

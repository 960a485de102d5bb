"""What a provider does when its disk is full: a refusal in the envelope, and nothing lost that was there."""

import json
import sqlite3
from pathlib import Path

import httpx2
import pytest

from sandbox.app import create_app
from sandbox.engine import Sandbox
from sandbox.settings import Settings
from wire_server.state import CLOSED_UPLOAD_SECONDS

pytestmark = pytest.mark.anyio

PART = b'{"prompt": "a", "completion": "b"}\n'
NEW_UPLOAD = {"filename": "t.jsonl", "purpose": "fine-tune", "bytes": len(PART), "mime_type": "text/jsonl"}


def full() -> None:
    raise sqlite3.OperationalError("database or disk is full")


@pytest.fixture
def state(tmp_path: Path) -> Sandbox:
    return Sandbox(Settings(), tmp_path)


@pytest.fixture
def client(state: Sandbox) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(create_app(state))
    return httpx2.AsyncClient(transport=transport, base_url="http://sandbox", headers={"api-key": "sk-sandbox"})


async def upload_with_a_part(client: httpx2.AsyncClient) -> tuple[str, str]:
    upload = (await client.post("/v1/uploads", json=NEW_UPLOAD)).json()
    part = await client.post(f"/v1/uploads/{upload['id']}/parts", files={"data": PART})
    return f"/v1/uploads/{upload['id']}", part.json()["id"]


async def test_what_cannot_be_kept_is_not_promised(
    state: Sandbox, client: httpx2.AsyncClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address, part = await upload_with_a_part(client)
    before, state.keep = state.keep, full
    answer = await client.post(f"{address}/complete", json={"part_ids": [part]})
    assert answer.status_code == 500
    assert answer.headers["x-request-id"].startswith("req_")
    assert "cannot be written to the disk" in json.loads(answer.content)["error"]["message"]
    assert [record.getMessage() for record in caplog.records if "full" in record.getMessage()]
    assert len(list(tmp_path.iterdir())) == 2, "the part is there as long as the row that is kept points to it"
    state.keep = before
    assert (await client.get("/v1/files")).json()["data"][0]["bytes"] == len(PART)
    assert len(list(tmp_path.iterdir())) == 1


async def test_bytes_that_do_not_fit_are_refused_and_leave_nothing(
    state: Sandbox, client: httpx2.AsyncClient, tmp_path: Path
) -> None:
    def fail(_: Path) -> None:
        raise OSError(28, "No space left on device")

    state.flush = fail
    answer = await client.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": PART})
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "The bytes cannot be kept: No space left on device."
    assert not list(tmp_path.iterdir())


async def test_an_upload_that_is_being_completed_changes_in_no_other_way(
    state: Sandbox, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, part = await upload_with_a_part(client)
    (pending,) = state.uploads.values()
    monkeypatch.setattr(state, "now", lambda: float(pending.upload.expires_at))
    with pending.joining():
        for call in ("complete", "cancel"):
            answer = await client.post(f"{address}/{call}", json={"part_ids": [part]})
            assert answer.status_code == 400
            assert "being completed" in answer.json()["error"]["message"]
        assert pending.upload.status == "pending", "it has not expired, since its parts are read"
    state.advance()
    assert pending.upload.status == "expired"


async def test_a_closed_upload_is_forgotten_after_a_day(
    state: Sandbox, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = await upload_with_a_part(client)
    await client.post(f"{address}/cancel")
    (pending,) = state.uploads.values()
    forgotten_at = float(pending.upload.expires_at + CLOSED_UPLOAD_SECONDS)
    for now, known in ((forgotten_at - 1, 1), (forgotten_at, 0)):
        monkeypatch.setattr(state, "now", lambda now=now: now)
        state.advance()
        assert len(state.uploads) == known

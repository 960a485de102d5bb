"""What docs/webhooks.md tells people to write verifies what is signed, and refuses what was altered."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openai import InvalidWebhookSignatureError
from standardwebhooks import Webhook, WebhookVerificationError

from cli.webhooks.forward import signing_secret
from shared.webhooks.event_types import EventType
from shared.webhooks.models import WebhookRecovery
from tests.worker.support import ids
from tests.world import Person, row

TEXT = (Path(__file__).parent.parent / "docs" / "webhooks.md").read_text()
SECRET = signing_secret("sk-alice")
BODY = json.dumps({"id": "evt_1", "type": "dataset.failed", "data": {"id": "file-1"}}).encode()
WRITTEN_IN = {language: re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL) for language in ("python", "js")}
IN_PYTHON, IN_JAVASCRIPT = ([block for block in blocks if "receive(" in block] for blocks in WRITTEN_IN.values())
CALL = """
const told = JSON.parse(process.argv[1]).map(([body, headers]) => receive(body, headers).catch(() => "refused"));
console.log(JSON.stringify(await Promise.all(told)));
"""


def signed(at: timedelta = timedelta()) -> dict[str, str]:
    now = datetime.now(UTC) + at
    right = Webhook(SECRET).sign("wh_1", now, BODY.decode())
    signature = f"v1,{'A' * 43}= {right}"  # as while a secret is rotated
    return {"webhook-id": "wh_1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


BAD = {
    "body": (BODY + b" ", signed()),
    "id": (BODY, signed() | {"webhook-id": "wh_2"}),
    "old": (BODY, signed(timedelta(hours=-1))),
    "future": (BODY, signed(timedelta(hours=1))),
    "unsigned": (BODY, signed() | {"webhook-signature": "v1,"}),
}


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-alice")
    monkeypatch.setenv("OPENAI_WEBHOOK_SECRET", SECRET)


def test_there_are_all_the_ways_that_it_promises() -> None:
    assert (len(IN_PYTHON), len(IN_JAVASCRIPT)) == (4, 2)


@pytest.mark.parametrize("block", IN_PYTHON, ids=["unwrap", "verify_signature", "standardwebhooks", "hmac"])
def test_each_way_in_python_takes_what_is_signed_and_nothing_else(block: str) -> None:
    written: dict[str, Any] = {}
    exec(block, written)
    receive: Callable[[bytes, dict[str, str]], tuple[str, str]] = written["receive"]
    assert receive(BODY, signed()) == ("dataset.failed", "file-1")
    for body, headers in BAD.values():
        with pytest.raises((InvalidWebhookSignatureError, WebhookVerificationError, ValueError)):
            receive(body, headers)


def test_the_way_without_a_library_works_in_node_too() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    [block] = [block for block in IN_JAVASCRIPT if "node:crypto" in block]

    cases = json.dumps([(body.decode(), headers) for body, headers in [(BODY, signed()), *BAD.values()]])
    command = [node, "--input-type=module", "--eval", block + CALL, cases]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert json.loads(run.stdout) == [["dataset.failed", "file-1"], *["refused"] * len(BAD)]


def test_an_endpoint_is_made_and_a_disabled_one_recovered_as_it_says(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", alice.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", alice.api_key)
    make, recover = (block for block in WRITTEN_IN["python"] if "receive(" not in block)
    exec(make, {})
    [endpoint] = alice.openai.webhooks.list().data
    alice.http.post(f"/webhook_endpoints/{endpoint.id}", json={"enabled": False}).raise_for_status()
    exec(recover, {})
    [recovery_id] = ids(WebhookRecovery)
    assert row(WebhookRecovery, recovery_id).endpoint_id == endpoint.id


def test_the_table_has_every_event_and_no_other() -> None:
    table = TEXT.partition("## Events")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([a-z_.]+)` \|", table, re.MULTILINE) == list(EventType)

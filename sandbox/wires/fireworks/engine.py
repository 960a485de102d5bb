"""The sandbox's engine with Fireworks AI's models and names, and a switch for each side of what no document says."""

import hashlib
import hmac
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from sandbox.engine import Sandbox
from sandbox.models import Base
from sandbox.runs import Run
from sandbox.settings import Settings
from wire_server.records import new_id

SUPERVISED, PREFERENCE = "supervisedFineTuningJobs", "dpoJobs"
JOB_KINDS = {SUPERVISED: "supervisedFineTuningJobId", PREFERENCE: "dpoJobId"}
"""The kinds of jobs, each with the parameter that names a new one."""
CATALOGUE = "accounts/fireworks/models"
_MADE_AT = 1_740_000_000
BODY = "body"
"""The key of a job's metadata with the request that made it, as JSON."""


def _base(name: str, *methods: str, shutdown_date: str | None = None) -> Base:
    return Base(id=f"{CATALOGUE}/{name}", created=_MADE_AT, shutdown_date=shutdown_date, methods=list(methods))


BASES = [
    _base("qwen3-8b", "supervised", "dpo"),
    _base("llama-v3p1-8b-instruct", "supervised", "dpo", shutdown_date="2027-06-30"),
    _base("gpt-oss-20b", "supervised"),
    _base("deepseek-v3p1"),
]


class Switches(BaseModel):
    """What nobody outside knows, or what only happens at times.

    `exists_status`: of the answer that there is one of this id. `has_prefix`: states begin with `JOB_STATE_`.
    `metrics`: the form of the file. `ready_after`: seconds until an uploaded dataset is ready. `late_failure`: a
    dataset is found bad after its upload, and not by the job. `redirects`: of a signed address. `requeued`: jobs that
    wait were put back. `serverless`: a tuned model answers chats without a deployment. `keeps_order`: lists are
    ordered as asked. `signs_metrics`: a job shows the address of its metrics. `says_empty`: an empty list is said.
    """

    model_config = ConfigDict(extra="forbid")

    exists_status: int = 409
    has_prefix: bool = True
    metrics: str = "jsonl"
    ready_after: float = 0.0
    late_failure: bool = False
    redirects: int = 0
    requeued: bool = False
    serverless: bool = False
    keeps_order: bool = True
    signs_metrics: bool = True
    says_empty: bool = True


class FireworksSandbox(Sandbox):
    models = MappingProxyType({base.id: base for base in BASES})

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(settings, folder)
        self.account = settings.organization

    def _empty(self) -> None:
        super()._empty()
        self.switches = Switches()
        self.uploaded_at: dict[str, float] = {}
        self.cancelling: set[str] = set()
        """Jobs that were cancelled, and have not been seen since."""

    def model_name(self, run: Run) -> str:
        output = settings_of(run).get("outputModel") or run.id.rpartition("/")[2]
        return output if "/" in output else f"accounts/{self.account}/models/{output}"

    def copied_id(self, run: Run) -> str:
        return f"{run.id.partition('/')[0]}/{new_id('copy-').lower()}"

    def signed(self, request: Request, what: str) -> str:
        """An address for `what` on the host of the storage, which is another name of this one."""
        host = f"localhost:{request.url.port}" if request.url.hostname == "127.0.0.1" else request.url.netloc
        return f"{request.url.scheme}://{host}/storage/{what}?{urlencode({'X-Goog-Signature': self.signature(what)})}"

    def signature(self, what: str) -> str:
        return hmac.new(self.settings.api_key.encode(), what.encode(), hashlib.sha256).hexdigest()


def body_of(run: Run) -> dict[str, Any]:
    body = json.loads((run.job.metadata or {})[BODY])
    assert isinstance(body, dict)
    return body


def settings_of(run: Run) -> dict[str, Any]:
    """Where the request says what to train by: that of a preference job keeps it apart."""
    body = body_of(run)
    apart = body.get("trainingConfig")
    return apart if isinstance(apart, dict) else body

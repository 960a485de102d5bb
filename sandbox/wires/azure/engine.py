"""The engine with Azure's models, ids and names, and the switches for what differs or nobody has seen there."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import uuid4

import msgspec
from fastapi import Depends

from sandbox.engine import Sandbox
from sandbox.models import BASES, Base
from sandbox.runs import Run
from wire_server.records import FileObject
from wire_server.state import get_state

_CREATED = 1_754_352_000
OPEN = ("gpt-oss-20b", "Llama-3.3-70B-Instruct", "Ministral-3B", "Qwen-32B")
"""The bases with open weights: they train as `GlobalStandard` only, and their entries say that they are not tuned."""
MODELS = {
    **{base.id: base for base in BASES.values()},
    **{name: Base(name, _CREATED, None, ["supervised"]) for name in OPEN},
}
OF_MODELS = ("https://cognitiveservices.azure.com", "https://ai.azure.com")
"""For what a token must be made to call files, jobs and chats."""
_WORDS = {"validating_files": "pending", "queued": "notRunning", "cancelled": "canceled"}


class AzureSandbox(Sandbox):
    """`resumed`: the jobs that somebody has resumed. `training_types`: by job, where the create named one.

    `tokens`: for what each is, and until when. `specified`: the machine and model of each deployment. `looks`: how
    often it was asked for.
    """

    models = MODELS
    file_status = "pending"

    tokens: Mapping[str, tuple[str, float]] = {}  # they outlive a reset, as they would at Azure

    def _empty(self) -> None:
        super()._empty()
        self.whole_file_fails_above = 100_000_000
        self.imports_files = True
        self.takes_training_type = True
        self.pauses_slowly = False
        self.resumed: set[str] = set()
        self.training_types: dict[str, str | int] = {}
        self.token_seconds = 3599.0
        self.keeps_metadata = True
        self.operations_conflict = 0
        self.page_size = 100
        self.looks: Counter[str] = Counter()
        self.specified: dict[str, dict[str, Any]] = {}

    def new_token(self, audience: str) -> str:
        token = f"eyJ.{uuid4().hex}.{uuid4().hex}"
        self.tokens = {**self.tokens, token: (audience, self.now() + self.token_seconds)}
        return token

    def audience_of(self, token: str) -> str | None:
        """None for one that is not known, or has expired."""
        audience, expires_at = self.tokens.get(token, ("", 0.0))
        return audience if self.now() < expires_at else None

    def knows_key(self, key: str) -> bool:
        """A token for models does as the key; one for the management address does not."""
        return self.audience_of(key) in OF_MODELS or super().knows_key(key)

    def advance(self) -> None:
        """A file is imported between the answer that made it and the next request."""
        super().advance()
        if self.imports_files:
            joined = {pending.upload.file.id for pending in self.uploads.values() if pending.upload.file}
            for stored in self.files.values():
                if stored.file.status == "pending":
                    fails = stored.file.bytes > self.whole_file_fails_above and stored.file.id not in joined
                    stored.file.status = "error" if fails else "processed"

    def job_id(self) -> str:
        return f"ftjob-{uuid4().hex}"

    def model_name(self, run: Run) -> str:
        suffix = f"-{run.job.user_provided_suffix}" if run.job.user_provided_suffix else ""
        return f"{run.base}.ft-{run.id.removeprefix('ftjob-')}{suffix}"

    def shown(self, run: Run) -> dict[str, Any]:
        """The job in Azure's words."""
        raw: dict[str, Any] = msgspec.to_builtins(run.job)
        status = _WORDS.get(run.job.status, run.job.status)
        if run.job.status == "queued" and run.id in self.resumed:
            status = "resuming"
        if run.job.status == "paused" and self.pauses_slowly:
            status = "pausing"
        kept = {} if self.keeps_metadata else {"metadata": None}
        return raw | {"status": status, "trainingType": self.training_types.get(run.id)} | kept


def shown_file(file: FileObject) -> dict[str, Any]:
    raw: dict[str, Any] = msgspec.to_builtins(file)
    return raw | ({"status_details": "The file could not be imported."} if file.status == "error" else {})


AzureDep = Annotated[AzureSandbox, Depends(get_state)]

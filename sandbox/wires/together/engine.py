"""The sandbox's engine with what Together has beside OpenAI: places for uploads, and examinations of files."""

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from msgspec import Struct, structs
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Scope

from sandbox.engine import Sandbox
from sandbox.models import Base
from sandbox.runs import Run
from sandbox.settings import Settings
from wire_server.job_requests import JobCreate
from wire_server.records import StoredFile, new_id

SUPPORTED = (
    "Qwen/Qwen3-8B",
    "google/gemma-3-4b-it",
    "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference",
    "openai/gpt-oss-20b",
)
CREATED = 1_750_000_000
UNLIMITED = 1_000_000


class Switches(BaseModel):
    """Which side of what nobody has seen at Together the stand-in is on, and how it is awkward.

    `storage`: the origin of signed URLs; empty for that of the request. `redirects`: of each upload.
    `storage_status`: what storage answers to what it was sent. `unfinished_conflicts`: a file that was reserved and
    never sent counts as existing. `examination`: seconds until a file is examined. `complaint`: what is then said to
    be wrong with it. `oldest_first`: lists. `has_events`: a job shows its events. `cancels_later`: it goes on until it
    is moved. `price`: nano-dollars for each trained token. `names_endpoints`: their list has the callers' names.
    `signs_weights`: a trained adapter is at a signed address.
    """

    model_config = ConfigDict(extra="forbid")

    storage: str = ""
    redirects: int = Field(1, ge=0)
    storage_status: int = 200
    unfinished_conflicts: bool = False
    examination: float = Field(0, ge=0)
    complaint: str = ""
    oldest_first: bool = False
    has_events: bool = True
    cancels_later: bool = False
    price: int = Field(480, ge=0)
    names_endpoints: bool = False
    signs_weights: bool = False


class Place(Struct):
    """A file that was announced. Its content may come to this place until it has arrived."""

    id: str
    token: str
    filename: str
    purpose: str
    checksum: str
    created_at: int
    redirects: int


class Examination(Struct):
    """`ends_at`: when it is known whether the file can be used. `complaint`: what is wrong beside its own problem."""

    ends_at: float
    complaint: str


class TogetherSandbox(Sandbox):
    models: Mapping[str, Base] = {name: Base(name, CREATED, None, ["supervised", "dpo"]) for name in SUPPORTED}

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(replace(settings, max_active_jobs_per_model=UNLIMITED, max_jobs_per_day=UNLIMITED), folder)

    def _empty(self) -> None:
        super()._empty()
        self.switches = Switches.model_validate({})
        self.places: dict[str, Place] = {}
        self.examinations: dict[str, Examination] = {}
        self.cancelling: set[str] = set()
        self.deleted: set[str] = set()

    def advance(self) -> None:
        """A model that is there also has the name that Together gives it."""
        super().advance()
        for run in self.runs.values():
            name, made = output_name(self, run), run.job.fine_tuned_model
            if made in self.tuned and name not in self.tuned and name not in self.deleted:
                self.tuned[name] = structs.replace(
                    self.tuned[made], model=structs.replace(self.tuned[made].model, id=name)
                )

    async def create(self, new: JobCreate, body: dict[str, Any], scope: Scope) -> Run:
        """The job, which keeps the body of its request."""
        run = await self.create_job(new, scope)
        del self.runs[run.id]
        id = f"ft-{uuid4()}"
        run.events[0].message = run.events[0].message.replace(run.id, id)
        run.job.id = id
        run.job.metadata = {"body": json.dumps(body)}
        self.runs[run.id] = run
        return run

    def cancel(self, run: Run) -> None:
        """What is asked for is done at the next look at the soonest."""
        if self.switches.cancels_later:
            self.cancelling.add(run.id)
        else:
            super().cancel(run)

    def place_for(self, filename: str, purpose: str, checksum: str) -> Place:
        """Where the content may be sent; the same place again for the same content that has not arrived."""
        same = [place for place in self.places.values() if place.checksum == checksum]
        id = same[0].id if same else new_id("file-")
        place = Place(id, new_id("", 32), filename, purpose, checksum, int(self.now()), self.switches.redirects)
        self.places[id] = place
        return place

    def same_content(self, checksum: str) -> str | None:
        """The id of the file that has it."""
        for id, stored in self.files.items():
            if _checksum(stored) == checksum:
                return id
        if self.switches.unfinished_conflicts:
            return next((place.id for place in self.places.values() if place.checksum == checksum), None)
        return None


def body_of(run: Run) -> dict[str, Any]:
    """What the job was created with."""
    body: dict[str, Any] = json.loads((run.job.metadata or {}).get("body", "{}"))
    return body


def output_name(state: TogetherSandbox, run: Run) -> str:
    """`{account}/{base}-{suffix}-{end of the job's id}`."""
    body = body_of(run)
    parts = (run.base.rpartition("/")[2], body.get("suffix"), run.id[-8:].lower())
    return f"{state.settings.organization}/{'-'.join(filter(None, parts))}"


def parent_of(state: TogetherSandbox, body: dict[str, Any]) -> Run | None:
    """The job that another one continues: named by its id or its model, and perhaps a step."""
    name = str(body.get("from_checkpoint") or "").partition(":")[0]
    return next((run for run in state.runs.values() if name and name in {run.id, output_name(state, run)}), None)


def _checksum(stored: StoredFile) -> str:
    return sha256(stored.path.read_bytes()).hexdigest() if stored.path.exists() else ""

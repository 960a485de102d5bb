"""The engine behind the wire: jobs train in their processes, and models answer from theirs."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

from starlette.types import Scope

from trainer.server import progress
from trainer.server.admission import admit
from trainer.server.processes.protocol import Machines
from trainer.server.run import Run
from trainer.server.runner import Runner
from trainer.server.serving.pool import Serving
from trainer.server.settings import Settings
from trainer.server.state import TrainerState
from trainer.server.store import TrainerStore
from wire_server import training_file
from wire_server.chat import ChatRequest, End, Piece
from wire_server.errors import ApiError
from wire_server.job_admission import limits
from wire_server.job_requests import JobCreate
from wire_server.records import Model
from wire_server.training_file import Contents


class Trainer(TrainerState):
    fingerprint = "tunery-trainer"

    def __init__(self, settings: Settings, store: TrainerStore, python: Path, machines: Machines) -> None:
        super().__init__(settings, store)
        self.runner = Runner(self, machines)
        self.serving = Serving(python, settings)

    def bases(self) -> Mapping[str, Model]:
        return {
            name: Model(id=name, created=base.created, owned_by=self.settings.organization)
            for name, base in self.bases_by_name().items()
        }

    def read_training_file(self, path: Path) -> Contents:
        return training_file.read(path)

    async def create_job(self, new: JobCreate, scope: Scope) -> Run:
        run = await admit(self, new)
        run.tell_creation()
        self.runner.wake()
        return run

    def cancel(self, run: Run) -> None:
        run.cancel()
        self.runner.cancel(run)

    def pause(self, run: Run) -> None:
        run.pause()
        self.runner.pause(run)

    def resume(self, run: Run) -> None:
        run.requeue()
        self.runner.wake()

    def model_limits(self) -> dict[str, dict[str, int]]:
        """`max_concurrent_jobs`: the slots. More jobs wait here, but in no queue that is fair between callers."""
        slots = {"max_concurrent_jobs": len(self.runner.slots)}
        return {name: limits(self, self.jobs_of(name)) | slots for name in self.bases_by_name()}

    def delete_model(self, name: str) -> None:
        progress.forget_model(self, name)

    async def reply(self, request: ChatRequest) -> AsyncIterator[Piece | End]:
        folder, adapter, base = self._weights(request.model)
        async with aclosing(self.serving.reply(folder, adapter, _asked(request), base)) as lines:
            async for line in lines:
                if error := line.get("error"):
                    raise _refusal(error)
                if "end" in line:
                    yield End(line["end"], line["prompt_tokens"], line["completion_tokens"])
                else:
                    yield Piece(line["text"], line.get("logprobs"))

    def _weights(self, name: str) -> tuple[str, str | None, str | None]:
        """The folder of the base to load, that of the adapter, and the name of the base, unless its weights changed."""
        tuned = self.tuned.get(name)
        if tuned and tuned.is_whole:
            return tuned.folder, None, None
        base = self.bases_by_name().get(tuned.base if tuned else name)
        if base is None:
            raise ApiError(
                404, f"The base of the model '{name}' has been removed.", code="model_not_found", param="model"
            )
        return base.folder, tuned.folder if tuned else None, base.name


def _asked(request: ChatRequest) -> dict[str, Any]:
    """The request as the serving process takes it."""
    if request.n not in (None, 1):
        raise ApiError(
            400, "The trainer gives one answer for each request: n must be 1.", code="invalid_value", param="n"
        )
    stop = [request.stop] if isinstance(request.stop, str) else request.stop or []
    return {
        "messages": request.messages,
        "tools": request.tools,
        "max_tokens": request.max_completion_tokens or request.max_tokens,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "seed": request.seed,
        "stop": stop,
        "logprobs": (request.top_logprobs or 0) if request.logprobs else None,
    }


def _refusal(error: dict[str, Any]) -> ApiError:
    seconds = error.get("retry_after")
    headers = {"retry-after": str(seconds)} if seconds else {}
    status = int(error.get("status", 500))
    kind = "invalid_request_error" if status == 400 else "server_error" if status >= 500 else "requests"
    return ApiError(
        status, str(error["message"]), code=error.get("code"), param=error.get("param"), type=kind, headers=headers
    )

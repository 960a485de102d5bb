"""The engine behind the wire: it simulates jobs, and answers with the most similar training example."""

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from starlette.types import Scope

from sandbox.datasets import training_file
from sandbox.datasets.training_file import Dataset
from sandbox.faults.armed import armed_job_error
from sandbox.job_admission import admit
from sandbox.runs import Run
from sandbox.settings import Settings
from sandbox.state import SandboxState
from sandbox.training import simulation
from sandbox.training.nearest_example import nearest_reply
from wire_server.chat import ChatRequest, End, Piece
from wire_server.job_admission import limits
from wire_server.job_requests import JobCreate
from wire_server.records import Model
from wire_server.training_file import last_user_text, text_of

QUESTION_WORDS = re.compile(
    r"^(please\s+)?((can|could|would) you\s+)?(tell me|explain|describe|define|what|how|why|when|who|where|which)?"
    r"\s*(is|are|was|were|does|do|did|can|should|about|to me|to)?\s*(an?|the)?\s+",
    re.IGNORECASE,
)


class Sandbox(SandboxState):
    fingerprint = "sandbox-remembers-does-not-learn"

    def __init__(self, settings: Settings, folder: Path) -> None:
        super().__init__(settings, folder)
        self._described = {name: base.described(name) for name, base in self.models.items()}

    def bases(self) -> Mapping[str, Model]:
        return self._described

    def snapshot(self, name: str) -> str:
        return self.models[name].id if name in self.models else name

    def read_training_file(self, path: Path) -> Dataset:
        return training_file.read(path)

    async def create_job(self, new: JobCreate, scope: Scope) -> Run:
        return self.start(admit(self, new), scope)

    def start(self, run: Run, scope: Scope) -> Run:
        """Keeps a job that was admitted, and begins it."""
        run.armed_error = armed_job_error(scope)
        run.visible_at += self.list_lag
        self.runs[run.id] = run
        simulation.begin(run, self)
        return run

    def cancel(self, run: Run) -> None:
        run.clock = self.now()
        run.cancel()

    def pause(self, run: Run) -> None:
        simulation.pause(run, self, self.now())

    def resume(self, run: Run) -> None:
        simulation.resume(run, self.now())

    def model_limits(self) -> dict[str, dict[str, int]]:
        """OpenAI documents the route but not its body."""
        tunable = {base.id for base in self.models.values() if base.methods}
        return {
            base: limits(self, (run.job for run in self.runs.values() if run.base == base)) for base in sorted(tunable)
        }

    def delete_model(self, name: str) -> None:
        del self.tuned[name]

    async def reply(self, request: ChatRequest) -> AsyncIterator[Piece | End]:
        reply = self._reply(request)
        for word in re.findall(r"\s*\S+|\s+$", reply):
            yield Piece(word)
        # Estimated at four characters per token.
        prompt = sum(len(text_of(message.get("content"))) for message in request.messages) // 4 + 3
        yield End("stop", prompt, len(reply) // 4 + 1)

    def _reply(self, request: ChatRequest) -> str:
        question = last_user_text(request.messages)
        question.encode()  # raises for a lone surrogate now, while the answer can still be a 400
        if tuned := self.tuned.get(request.model):
            return nearest_reply(tuned.memory, question)
        topic = QUESTION_WORDS.sub("", question.strip()).rstrip(" ?.!") or "that"
        return f"Here is a short, plain answer about {topic}, in the everyday English of a model that nobody has tuned."

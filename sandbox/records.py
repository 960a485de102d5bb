"""What the sandbox keeps beyond the objects of the wire: the data of files, the memory of tuned models, deployments."""

from typing import Literal

from msgspec import Struct

from sandbox.datasets.training_file import Dataset
from wire_server import records
from wire_server.training_file import Example


class StoredFile(records.StoredFile, kw_only=True):
    contents: Dataset | None = None


class TunedModel(records.TunedModel, kw_only=True):
    """A tuned model with the examples whose replies it gives."""

    memory: tuple[Example, ...]


DeploymentStatus = Literal["starting", "ready", "stopped", "failed"]


class Deployment(Struct, kw_only=True):
    """A tuned model that is made callable. A wire shows it in its own words.

    `id` is the wire's, `name` what the caller has named it. `model` is the tuned model, `chat_model` what a chat asks
    for. `answers`: chats are answered; a provider may say before that it is ready. `word`: shown as the status, in
    place of the wire's own word. Until `visible_at` the list does not show it.
    """

    id: str
    name: str
    model: str
    chat_model: str
    created_at: float
    ready_at: float
    visible_at: float
    status: DeploymentStatus = "starting"
    answers: bool = False
    error: str | None = None
    word: str | None = None

    def advance(self, now: float) -> None:
        if self.status == "starting" and self.ready_at <= now:
            self.status, self.answers = "ready", True

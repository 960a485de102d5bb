"""What the sandbox keeps beyond the objects of the wire: the data of files, and the memory of tuned models."""

from sandbox.datasets.training_file import Dataset
from wire_server import records
from wire_server.training_file import Example


class StoredFile(records.StoredFile, kw_only=True):
    contents: Dataset | None = None


class TunedModel(records.TunedModel, kw_only=True):
    """A tuned model with the examples whose replies it gives."""

    memory: tuple[Example, ...]

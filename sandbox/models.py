"""OpenAI's base models (models.json).

Base models that OpenAI has stopped have their shutdown date; the sandbox serves them all the same. The others have
none, so that the sandbox can be used on any day.
"""

from pathlib import Path

import msgspec
from msgspec import Struct

from wire_server.records import Model


class Base(Struct, frozen=True):
    """A base model: the Unix time of its creation, its shutdown date, and the methods that can tune it."""

    id: str
    created: int
    shutdown_date: str | None
    methods: list[str]

    def described(self, name: str) -> Model:
        return Model(id=name, created=self.created, owned_by="system", shutdown_date=self.shutdown_date)


class _Table(Struct, frozen=True):
    aliases: dict[str, str]
    models: list[Base]


_TABLE = msgspec.json.decode(Path(__file__).with_name("models.json").read_bytes(), type=_Table)
BASES = {base.id: base for base in _TABLE.models}
BASES |= {alias: BASES[snapshot] for alias, snapshot in _TABLE.aliases.items()}
"""Base models by each of their names: snapshots and aliases."""

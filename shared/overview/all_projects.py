"""Lists rows of all projects, for admin keys: the counterpart of `shared.db.owned`, which shows one project's."""

from typing import Any, Self, TypeVar

from sqlmodel import Session, col, select

from shared.datasets.models import Dataset
from shared.datasets.schemas import FilePublic
from shared.db.tables import Deletable, Owned
from shared.errors import NotFound
from shared.webhooks.models import WebhookEndpoint
from shared.webhooks.schemas import WebhookEndpointPublic

OwnedRow = TypeVar("OwnedRow", bound=Owned)


class FileOfProject(FilePublic):
    """OpenAI's file object, and whose it is."""

    project_id: str

    @classmethod
    def of(cls, row: Dataset) -> Self:
        return cls(**FilePublic.of(row).model_dump(), project_id=row.project_id)


class WebhookEndpointOfProject(WebhookEndpointPublic):
    """A webhook endpoint, and whose it is."""

    project_id: str

    @classmethod
    def of(cls, row: WebhookEndpoint) -> Self:
        return cls(**WebhookEndpointPublic.of(row).model_dump(), project_id=row.project_id)


def list_all(session: Session, model: type[OwnedRow], *where: Any, after: str | None, limit: int) -> list[OwnedRow]:
    """Return up to `limit` + 1 rows, newest first. Raises `NotFound` for an `after` that no project has."""
    query = select(model).where(*where)
    if issubclass(model, Deletable):
        query = query.where(col(model.deleted_at).is_(None))
    if after is not None:
        if session.get(model, after) is None:
            raise NotFound(f"No such {model.called}: {after}", param="after")
        query = query.where(model.id < after)
    return list(session.exec(query.order_by(col(model.id).desc()).limit(limit + 1)))

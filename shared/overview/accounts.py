"""All accounts at providers, with their errors and how long they are left alone."""

from sqlmodel import Session, col, select

from shared.db.times import Moment
from shared.errors import NotFound
from shared.projects.credential_schemas import CredentialPublic
from shared.projects.models import Credential


class AccountState(CredentialPublic):
    """An account of a project, or with an empty `project_id` of the deployment.

    `paused_until`: no calls before, after `pauses` answers of 429 in a row. `due_at`: when it is asked for its models.
    `retries`: consecutive failures of that.
    """

    paused_until: Moment | None
    pauses: int
    due_at: Moment | None
    retries: int

    @classmethod
    def of(cls, row: Credential) -> "AccountState":
        more = {"paused_until": row.paused_until, "pauses": row.pauses, "due_at": row.due_at, "retries": row.retries}
        return cls(**CredentialPublic.of(row).model_dump(), **more)


def list_accounts(session: Session, *, after: str | None, limit: int) -> list[AccountState]:
    """Return up to `limit` + 1 accounts of all projects, newest first. Raises `NotFound` for an unknown `after`."""
    query = select(Credential).where(col(Credential.deleted_at).is_(None))
    if after is not None:
        if session.get(Credential, after) is None:
            raise NotFound(f"No such account: {after}", param="after")
        query = query.where(Credential.id < after)
    return [AccountState.of(row) for row in session.exec(query.order_by(col(Credential.id).desc()).limit(limit + 1))]

"""Deleting an account at a provider, unless jobs are still on their way there."""

from sqlalchemy import text
from sqlmodel import Session, col, func, or_, select

from shared.errors import Invalid
from shared.jobs.models import IS_OPEN, Job
from shared.projects import credentials
from shared.projects.models import Credential

NAMED = 3


def delete_credential(session: Session, project_id: str, credential_id: str) -> Credential:
    """Raises `Invalid` while jobs need it, also one that has ended here and is yet to be cancelled there.

    Models that were tuned there cannot be called any more.
    """
    credential = credentials.get(session, project_id, credential_id, lock=True)
    its = Job.credential_id == credential_id, or_(text(IS_OPEN), col(Job.request).is_not(None))
    count = session.exec(select(func.count()).select_from(Job).where(*its)).one()
    if count:
        ids = session.exec(select(Job.id).where(*its).order_by(Job.id).limit(NAMED)).all()
        more = f" and {count - NAMED} more" if count > NAMED else ""
        raise Invalid(
            f"{credential_id} is needed by {count} active {'job' if count == 1 else 'jobs'} ({', '.join(ids)}{more}): "
            "cancel them or wait until they end. To end the use of a key at once, replace it by an update",
            code="credential_in_use",
            param="credential_id",
        )
    credentials.forget(credential)
    return credential

"""Deletes a credential, unless jobs still need it."""

from sqlalchemy import text
from sqlmodel import Session, col, func, or_, select

from shared.db.claims import release
from shared.db.times import utc_now
from shared.errors import Invalid
from shared.jobs.models import IS_OPEN, Job
from shared.projects import credentials
from shared.projects.models import Credential

MAX_JOBS_NAMED = 3  # in the error sentence


def delete_credential(session: Session, project_id: str, credential_id: str) -> Credential:
    """Delete a credential. Models that were tuned with it can no longer be called.

    Raises `Invalid` while jobs need it: those that have not ended, and those still to be cancelled at the provider.
    """
    credential = credentials.get(session, project_id, credential_id, lock=True)
    its = Job.credential_id == credential_id, or_(text(IS_OPEN), col(Job.request).is_not(None))
    count = session.exec(select(func.count()).select_from(Job).where(*its)).one()
    if count:
        ids = session.exec(select(Job.id).where(*its).order_by(Job.id).limit(MAX_JOBS_NAMED)).all()
        more = f" and {count - MAX_JOBS_NAMED} more" if count > MAX_JOBS_NAMED else ""
        raise Invalid(
            f"{credential_id} is needed by {count} active {'job' if count == 1 else 'jobs'} ({', '.join(ids)}{more}): "
            "cancel them or wait until they end. To end the use of a key at once, replace it by an update",
            code="credential_in_use",
            param="credential_id",
        )
    _forget(credential)
    return credential


def _forget(credential: Credential) -> None:
    """Erase its secrets, and keep the row, which old jobs refer to."""
    credential.deleted_at = credential.updated_at = utc_now()
    credential.sealed_api_key = credential.sealed_webhook_secret = None
    release(credential, None)

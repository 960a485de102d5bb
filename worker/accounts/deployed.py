"""Compares the deployments at an account with the database: adopts those that rows have forgotten, stops strays."""

from sqlmodel import Session, col, select

from shared.database import transaction
from shared.db.claims import make_due
from shared.db.times import utc_now
from shared.deployments.models import Deployment
from shared.projects.models import Credential
from shared.settings import get_settings
from worker.accounts.findings import Action, Finding
from worker.deployments.strays import is_stray, running
from worker.providers.deploying import ProviderDeployment


def find(session: Session, credential: Credential, listed: list[ProviderDeployment], restored: bool) -> list[Finding]:
    """An unknown one carries no mark of an installation: only after the database was restored it counts as ours."""
    ours = running(listed)
    query = select(Deployment).where(col(Deployment.id).in_([each.deployment_id for each in ours]))
    rows = {row.id: row for row in session.exec(query)}
    found = []
    for each in ours:
        id = each.deployment_id or ""
        judged = _judge(rows[id], each, credential) if id in rows else _judge_unknown(restored)
        if judged is not None:
            found.append(Finding(each.id, id, *judged, each.created_at or utc_now()))
    return found


def _judge_unknown(restored: bool) -> tuple[Action, str]:
    if restored:
        return Action.STOP, "unknown since the database was restored"
    return Action.LEAVE, "unknown here: another installation's, or forgotten since the database was restored"


def _judge(row: Deployment, listed: ProviderDeployment, credential: Credential) -> tuple[Action, str] | None:
    """None if the row points to it, or its own steps will find it or are about to stop it."""
    if row.credential_id != credential.id:
        return Action.LEAVE, f"the deployment belongs to {row.credential_id}"
    if is_stray(row, listed):
        at = row.provider_deployment_id
        return Action.STOP, f"the deployment has {row.status}" if row.status.is_final else f"it is {at} at the provider"
    if _needs_none(row):
        return None
    return Action.ADOPT, "the deployment does not know of it"


def _needs_none(row: Deployment) -> bool:
    """Whether it is over, has one, or is about to search for it."""
    return row.status.is_final or row.provider_deployment_id is not None or row.create_pending_at is not None


def adopt(each: Finding) -> None:
    """Make the deployment search for it: its create counts as one without an answer whose grace is over."""
    with transaction() as session:
        row = session.get_one(Deployment, each.ours, with_for_update={"key_share": True})
        if _needs_none(row):
            return
        row.create_pending_at = min(each.made_at, utc_now() - get_settings().create_grace)
        make_due(session, row)

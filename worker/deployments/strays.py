"""Stops what runs at an account under an id of ours, and which no row counts as its own: it costs money.

A deployment whose id the database does not know belongs to another installation, and is not touched.
"""

from sqlmodel import col, select

from shared.database import transaction
from shared.deployments.deployable import needs_deployment
from shared.deployments.models import Deployment
from shared.projects.models import Credential
from worker.deployments.calls import delete, provider_of
from worker.providers.deploying import ProviderDeployment, ProviderState
from worker.providers.errors import ProviderError
from worker.runtime.steps import log


def stop_strays(credential: Credential) -> None:
    """Never raises: what the provider refuses is found again the next time."""
    if not needs_deployment(credential):
        return
    try:
        provider = provider_of(credential)
        for stray in _strays(provider.list_deployments()):
            delete(provider, stray.id)
            log.warning("stopped a deployment that no row has", provider_id=stray.id, ours=stray.deployment_id)
    except ProviderError as error:
        log.warning("deployments that no row knows could not be stopped", code=error.code, reason=error.message)


def _strays(listed: list[ProviderDeployment]) -> list[ProviderDeployment]:
    """The rows are read after the list, so that one newer than it is seen."""
    ours = running(listed)
    if not ours:
        return []
    with transaction() as session:
        query = select(Deployment).where(col(Deployment.id).in_([each.deployment_id for each in ours]))
        rows = {row.id: row for row in session.exec(query)}
    return [each for each in ours if (row := rows.get(each.deployment_id or "")) and is_stray(row, each)]


def running(listed: list[ProviderDeployment]) -> list[ProviderDeployment]:
    """Those with an id as ours are, which cost money."""
    return [each for each in listed if each.deployment_id is not None and each.state is not ProviderState.STOPPED]


def is_stray(row: Deployment, listed: ProviderDeployment) -> bool:
    """The steps of a row that may still find it, or are about to stop it, are left to do so."""
    if row.provider_deployment_id not in {None, listed.id}:
        return True
    return row.status.is_final and row.due_at is None

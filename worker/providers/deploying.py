"""What the worker needs of a provider where a tuned model must be deployed before it can be chatted with.

Its client has these methods beside those of `Provider`, and its `Capabilities` say `needs_deployment`. Their values are
safe to store, and their calls keep the same promises.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol


class ProviderState(StrEnum):
    """What a provider's word for the status of a deployment means."""

    STARTING = "starting"
    READY = "ready"  # as the provider says: it may not answer chats yet
    STOPPED = "stopped"  # it costs nothing more, and does not start again by itself
    FAILED = "failed"


@dataclass(frozen=True)
class NewDeployment:
    """A deployment to create. `id` is ours (`dep_…`, 30 lower-case letters and digits), and must be found again.

    `model` is the name of the tuned model, or of a checkpoint, as the client gave it out in `ProviderJob` or
    `ProviderCheckpoint`; `provider_job_id` is the job that made it, and `provider_checkpoint_id` the checkpoint, None
    for the model at the end of the job. `base_model` is what the job was asked to tune.
    `provider_options` were checked by `shared.providers.options` (`DEPLOYMENT_OPTIONS`) for the account's dialect.
    """

    id: str
    model: str
    provider_job_id: str
    provider_checkpoint_id: str | None
    base_model: str
    provider_options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ProviderDeployment:
    """A deployment as the provider shows it. `id` is what the provider knows it by.

    `deployment_id` is ours, as it was given to `create_deployment`; None for one that is not ours.
    `provider_status` is the provider's own word, and `state` what it means, None for an unknown word.
    `chat_model` is the name by which its chat is asked for; None where that is not known yet.
    `error`: the provider's sentence about what is wrong with it.
    """

    id: str
    deployment_id: str | None
    provider_status: str
    state: ProviderState | None
    chat_model: str | None = None
    created_at: datetime | None = None
    error: str | None = None


class DeployingProvider(Protocol):
    """One account at a provider that deploys. See `Provider` for what each call promises."""

    def create_deployment(self, new: NewDeployment) -> ProviderDeployment:
        """Create a deployment that `find_deployments` can find afterwards, whatever becomes of the answer."""
        ...

    def find_deployments(self, deployment_id: str) -> list[ProviderDeployment]:
        """All that were created for our `dep_…`, and are not gone; oldest first."""
        ...

    def advance_deployment(self, new: NewDeployment, provider_deployment_id: str) -> ProviderDeployment:
        """Say how it is; a 404 if it is gone.

        Where a deployment takes several calls, as a machine and then a model on it, it first makes the next one that is
        missing. It is called again and again, and nothing may be made twice: look before.
        """
        ...

    def delete_deployment(self, provider_deployment_id: str) -> None:
        """Stop it, with all that was made for it. It is called again until `find_deployments` shows nothing that runs;
        for one that is gone it raises a 404, or nothing."""
        ...

    def list_deployments(self) -> list[ProviderDeployment]:
        """All deployments of the account that are not gone, also those that are not ours."""
        ...

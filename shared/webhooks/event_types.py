"""The types of event that a project can be notified of: OpenAI's three for the ends of jobs, and our own."""

from enum import StrEnum


class EventType(StrEnum):
    """A type of event that an endpoint may ask for."""

    JOB_CREATED = "fine_tuning.job.created"
    JOB_QUEUED = "fine_tuning.job.queued"
    JOB_APPROVAL_REQUIRED = "fine_tuning.job.approval_required"
    JOB_RUNNING = "fine_tuning.job.running"
    JOB_PAUSED = "fine_tuning.job.paused"
    JOB_PROGRESSED = "fine_tuning.job.progressed"
    JOB_CHECKPOINT_CREATED = "fine_tuning.job.checkpoint_created"
    JOB_SUCCEEDED = "fine_tuning.job.succeeded"
    JOB_FAILED = "fine_tuning.job.failed"
    JOB_CANCELLED = "fine_tuning.job.cancelled"
    DATASET_PROCESSED = "dataset.processed"
    DATASET_FAILED = "dataset.failed"
    MODEL_SHUTDOWN_SCHEDULED = "model.shutdown_scheduled"
    DEPLOYMENT_READY = "deployment.ready"
    DEPLOYMENT_STOPPED = "deployment.stopped"
    DEPLOYMENT_FAILED = "deployment.failed"
    BUDGET_THRESHOLD_REACHED = "budget.threshold_reached"
    API_KEY_EXPIRING = "api_key.expiring"
    ENDPOINT_DISABLED = "webhook_endpoint.disabled"

    @property
    def is_thin(self) -> bool:
        """OpenAI's own events carry only an id, so that receivers written for OpenAI work unchanged."""
        return self in {EventType.JOB_SUCCEEDED, EventType.JOB_FAILED, EventType.JOB_CANCELLED}

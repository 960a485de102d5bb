"""The tables whose rows have steps, which workers take when they are due."""

from shared.datasets.models import Dataset, ProviderFile, Upload
from shared.db.tables import DueTable, OwnedDue
from shared.deployments.models import Deployment
from shared.jobs.models import Job, TunedModel, Watch
from shared.jobs.queue.models import JobQueue
from shared.notifications.models import Notification
from shared.projects.models import Credential
from shared.webhooks.models import WebhookDelivery, WebhookRecovery

Due = DueTable | OwnedDue
DUE: tuple[type[Due], ...] = (
    Watch,
    Job,
    JobQueue,
    WebhookDelivery,
    WebhookRecovery,
    ProviderFile,
    Dataset,
    Upload,
    TunedModel,
    Deployment,
    Credential,
    Notification,
)

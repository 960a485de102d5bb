"""Creates one of everything that a project can own, with ids of ours and of the provider's."""

from shared.database import transaction
from shared.deployments.models import Deployment, DeploymentStatus
from shared.jobs.models import Job
from tests.api.test_webhook_endpoints import create
from tests.api.training import model_of, train
from tests.servers import Receiver
from tests.world import Person, Sandbox, row, work

Ids = dict[str, str]


def create_upload(person: Person) -> str:
    return person.openai.uploads.create(filename="a", bytes=1, purpose="fine-tune", mime_type="text/jsonl").id


def create_deployment(job_id: str) -> str:
    """One that has ended, of the job's model: the sandbox needs none."""
    job = row(Job, job_id)
    with transaction() as session:
        made = Deployment(
            project_id=job.project_id,
            credential_id=job.credential_id,
            provider=job.provider,
            job_id=job.id,
            model=job.fine_tuned_model,
            base_model=job.model,
            status=DeploymentStatus.STOPPED,
            due_at=None,
        )
        session.add(made)
    return made.id


def ids_of_everything(alice: Person, sandbox: Sandbox, receiver: Receiver) -> Ids:
    """Return an id of each kind, deleted ones included."""
    endpoint_id = create(alice, url=receiver.url).id
    deleted_job, job = train(alice, sandbox), train(alice, sandbox)
    work()
    deleted_endpoint = create(alice).id
    deleted_file = alice.upload()
    for path in (
        f"/models/{model_of(deleted_job)}",
        f"/webhook_endpoints/{deleted_endpoint}",
        f"/files/{deleted_file}",
    ):
        alice.http.delete(path).raise_for_status()
    recovery = alice.http.post(f"/webhook_endpoints/{endpoint_id}/recover", json={"since": 0}).json()
    work()
    deliveries = alice.http.get(f"/webhook_endpoints/{endpoint_id}/deliveries").json()["data"]
    upload = alice.openai.uploads.create(filename="a", bytes=1, purpose="fine-tune", mime_type="text/jsonl")
    [provider_job, provider_file] = [sandbox.jobs()[0].id, sandbox.files()[0].id]
    return {
        "file": job.training_file,
        "result": job.result_files[0],
        "job": job.id,
        "event": alice.openai.fine_tuning.jobs.list_events(job.id).data[0].id,
        "checkpoint": alice.openai.fine_tuning.jobs.checkpoints.list(job.id).data[0].id,
        "checkpoint_model": alice.openai.fine_tuning.jobs.checkpoints.list(job.id).data[1].fine_tuned_model_checkpoint,
        "model": model_of(job),
        "endpoint": endpoint_id,
        "delivery": deliveries[0]["id"],
        "recovery": recovery["id"],
        "webhook_event": deliveries[0]["event_id"],
        "upload": upload.id,
        "deployment": create_deployment(job.id),
        "part": alice.openai.uploads.parts.create(upload.id, data=b"x").id,
        "deleted_model": model_of(deleted_job),
        "deleted_endpoint": deleted_endpoint,
        "deleted_file": deleted_file,
        "provider_job": provider_job,
        "provider_file": provider_file,
    }

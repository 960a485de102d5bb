"""A project with something of everything, for pages to show: `ids` has the ids that addresses need."""

import json
from decimal import Decimal
from typing import Any

from shared.database import transaction
from shared.db.times import utc_now
from shared.deployments.models import Deployment, DeploymentStatus
from shared.jobs.models import Checkpoint, Job, TunedModel
from shared.projects import credentials
from shared.projects.credential_schemas import CredentialCreate
from shared.projects.models import Credential
from shared.settings import get_settings
from tests.api.training import move
from tests.dashboard.administration import endpoint, ids_of
from tests.worker.support import change
from tests.world import Person, Sandbox, lines, work

STEPS = 60
QWEN = "Qwen/Qwen3-8B"
BASES = [{"id": id, "created": 1, "owned_by": "system", "shutdown_date": None} for id in (QWEN, "gpt-4o-mini")]
SLOWER = {"n_epochs": 6, "learning_rate_multiplier": 0.5}
WRONG = lines() + b'{"messages": [{"role": "robot", "content": "<script>alert(1)</script>"}]}\n{"messages": \n'
TEXTS = ("<img src=x onerror=alert(1)>", "\u202e desrever \u05d0\u05d1", "🦊🏳️\u200d🌈", "long " * 400, "'\"&amp;")
STRANGE = b"".join(
    json.dumps({"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": text}]}).encode()
    + b"\n"
    for text in TEXTS * 3
)


def ids(person: Person, sandbox: Sandbox) -> dict[str, str]:
    """Make jobs in the project. Pages that show more add it here."""
    hook = endpoint(person)
    file = person.upload()
    done = person.create_job(training_file=file, validation_file=file, suffix="support", metadata={"team": "support"})
    move(person, sandbox, done, "succeeded")
    failed = person.create_job(training_file=file, suffix="إختبار <b>bold</b> " + "long " * 8)
    move(person, sandbox, failed, "failed")
    running = person.create_job(training_file=file)
    move(person, sandbox, running, "running", step=40)
    other = person.create_job(training_file=file, validation_file=file, suffix="slower", hyperparameters=SLOWER)
    move(person, sandbox, other, "succeeded")
    waiting = person.create_job(training_file=file)
    work()
    wrong = person.upload(WRONG, "wrong.jsonl")
    strange = person.upload(STRANGE, "<b>\u05d0\u05d1\u05d2 🦊 " + "x" * 200 + ".jsonl")
    work(2)
    jobs = {"job": done, "failed": failed, "running": running, "waiting": waiting, "other": other}
    files = {"file": file, "wrong_file": wrong, "strange_file": strange}
    model = str(person.http.get(f"/fine_tuning/jobs/{done}").json()["fine_tuned_model"])
    hourly = deployed(person.project_id, done)
    administered = ids_of(person, hook)
    change(Credential, administered["account"], base_models=BASES)
    return {**files, **jobs, **hourly, **administered, "model": model}


def deployed(project_id: str, job_id: str) -> dict[str, str]:
    """Make an account whose models must be deployed, with a model, a deployment that is ready, and one that failed."""
    new = CredentialCreate.model_validate(
        {"name": "Nebius", "base_url": get_settings().provider.base_url, "api_key": "sk-not-good", "dialect": "nebius"}
    )
    with transaction() as session:
        account = credentials.create(session, project_id, new)
        account.base_models = BASES
        session.flush()
        made: dict[str, Any] = {
            "project_id": project_id,
            "job_id": job_id,
            "credential_id": account.id,
            "base_model": QWEN,
        }
        name = f"ft:{QWEN}:tunery:by-the-hour:{job_id[-8:].lower()}"
        session.add(TunedModel(**made, name=name, due_at=None))
        hourly: dict[str, Any] = {**made, "provider": "nebius", "price_per_hour": Decimal("2.40"), "due_at": None}
        refusal = {"code": "deployment_timeout", "message": "It was not ready in time: " + "no machine is free, " * 9}
        failed = Deployment(**hourly, model=name, status=DeploymentStatus.FAILED, reason=refusal, stopped_at=utc_now())
        ready = Deployment(
            **hourly,
            model=f"{name}:ckpt-step-50",
            status=DeploymentStatus.READY,
            ready_at=utc_now(),
            idle_seconds=3600,
            cost=Decimal("7.2"),
            provider_deployment_id="ep-1",
            provider_options={"machines": 1},
        )
        session.add_all([failed, ready])
        return {"deployable": name, "failed_deployment": failed.id, "deployment": ready.id}


def finish(job_id: str) -> str:
    """Give a job a tuned model and two checkpoints, as if it had succeeded; return the model's name."""
    with transaction() as session:
        job = session.get_one(Job, job_id)
        made: dict[str, Any] = {"project_id": job.project_id, "job_id": job.id}
        name = f"ft:gpt-4o-mini:tunery:support:{job.id[-8:].lower()}"
        session.add(TunedModel(**made, credential_id=job.credential_id, base_model=job.model, name=name, due_at=None))
        for step in (50, 100):
            values: dict[str, Any] = {"step_number": step, "metrics": {"full_valid_loss": 1.25 - step / 200}}
            session.add(
                Checkpoint(**made, provider_checkpoint_id=f"c{step}", model=f"{name}:ckpt-step-{step}", **values)
            )
        return name

"""A project with something of everything, for pages to show: `ids` has the ids that addresses need."""

import json
from typing import Any

from shared.database import transaction
from shared.jobs.models import Checkpoint, Job, TunedModel
from tests.api.training import move
from tests.dashboard.administration import endpoint, ids_of
from tests.world import Person, Sandbox, lines, work

STEPS = 60
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
    move(person, sandbox, running, "running")
    waiting = person.create_job(training_file=file)
    work()
    wrong = person.upload(WRONG, "wrong.jsonl")
    strange = person.upload(STRANGE, "<b>\u05d0\u05d1\u05d2 🦊 " + "x" * 200 + ".jsonl")
    work(2)
    jobs = {"job": done, "failed": failed, "running": running, "waiting": waiting}
    files = {"file": file, "wrong_file": wrong, "strange_file": strange}
    model = str(person.http.get(f"/fine_tuning/jobs/{done}").json()["fine_tuned_model"])
    return {**files, **jobs, **ids_of(person, hook), "model": model}


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

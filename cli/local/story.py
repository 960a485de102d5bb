"""The steps of the demo: what a client does with a fine-tuning platform, with nothing but the official SDK."""

import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from openai import NotFoundError, OpenAI
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob

from cli.failure import Failure
from cli.local import commands
from cli.local.following import FINAL, FollowedJob
from cli.local.screen import Screen, Training

DATASET = commands.ROOT / "examples" / "train.jsonl"
MODEL = "gpt-4o-mini-2024-07-18"
SUFFIX = "shakespeare"
SYSTEM = "You are a teaching assistant for machine learning. Answer in the style of Shakespeare."
QUESTION = "What is overfitting?"
SUCCEEDED: Final = "fine_tuning.job.succeeded"
PATIENCE = 30.0  # seconds that any one thing may take
ASK_EVERY = 0.1


class NotSeen(Failure):
    """A step of the demo was not seen to happen; the sentence says what was seen instead."""


def expect(seen: bool, otherwise: str) -> None:
    if not seen:
        raise NotSeen(otherwise)


def moments(what: str, patience: float = PATIENCE, every: float = ASK_EVERY) -> Iterator[None]:
    """Comes round every so many seconds, until patience ends with «`what` was not seen»."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        yield
        time.sleep(every)
    raise NotSeen(f"{what} was not seen within {patience:.0f} s")


@dataclass
class Story:
    """One run through the steps. What an earlier step has found is kept for the later ones."""

    dataset: ClassVar[Path] = DATASET
    base_model: ClassVar[str] = MODEL
    suffix: ClassVar[str] = SUFFIX
    training_patience: ClassVar[float] = PATIENCE
    follow_every: ClassVar[float] = ASK_EVERY
    client: OpenAI
    screen: Screen
    events: "queue.Queue[dict[str, Any]]"
    receiver_url: str
    believe: Callable[[str], None]
    """Takes the signing secret of the webhook endpoint."""
    losses: list[float] = field(default_factory=list)
    file: FileObject = field(init=False)
    job: FineTuningJob = field(init=False)
    model: str = field(init=False)

    def register_webhook(self) -> str:
        """register a webhook endpoint"""
        for old in self.client.webhooks.list():  # of an earlier run, which signs with a secret that is forgotten
            self.client.webhooks.delete(old.id)
        endpoint = self.client.webhooks.create(name="demo", url=self.receiver_url, event_types=[SUCCEEDED])
        expect(bool(endpoint.signing_secret), "the endpoint has no signing secret")
        self.believe(endpoint.signing_secret)
        return f"webhook endpoint {endpoint.id} registered for {SUCCEEDED}"

    def upload(self) -> str:
        """upload the dataset and have it checked"""
        self.file = self._uploaded(self.dataset)
        count, size = self._count(self.dataset), self.file.bytes
        return f"{self.dataset.name} uploaded and checked: {count} examples, {size:,} bytes, {self.file.id}"

    def create_job(self) -> str:
        """create a fine-tuning job"""
        self.job = self._create(metadata={"made_by": "tunery demo"})
        expect(self.job.status not in FINAL, f"the new job is {self.job.status} already")
        return f"job {self.job.id} created: {self.base_model}, suffix {self.suffix}"

    def list_jobs(self) -> str:
        """list the last ten jobs"""
        jobs = self.client.fine_tuning.jobs.list(limit=10).data
        expect(len(jobs) <= 10 and jobs[0].id == self.job.id, "the new job is not the first of them")
        return f"the last {len(jobs)} jobs listed, with the new one first" if len(jobs) > 1 else "the jobs listed"

    def retrieve_job(self) -> str:
        """retrieve the job"""
        job = self.client.fine_tuning.jobs.retrieve(self.job.id)
        expect(job.training_file == self.file.id, f"its training file is {job.training_file}")
        expect(job.metadata == {"made_by": "tunery demo"}, f"its metadata is {job.metadata}")
        return f"job retrieved: {job.status}"

    def follow_job(self) -> str:
        """follow the job's events to its success"""
        with self.screen.training() as training:
            self._follow(training)
        self.screen.loss_curve(self.losses)
        expect(self.job.status == "succeeded", f"the job {self.job.status}: {self.job.error}")
        expect(len(self.losses) > 1 and self.losses[-1] < self.losses[0], f"the losses were {self.losses}")
        self.model = self.job.fine_tuned_model or ""
        expect(self.suffix in self.model, f"the tuned model is {self.model!r}")
        return f"job succeeded after {len(self.losses)} steps, loss {self.losses[0]:.2f} → {self.losses[-1]:.2f}"

    def receive_webhook(self) -> str:
        """receive the webhook and verify its signature"""
        try:
            event = self.events.get(timeout=PATIENCE)
        except queue.Empty:
            raise NotSeen(f"no webhook came within {PATIENCE:.0f} s") from None
        told = (event["type"], event["data"]["id"])
        expect(told == (SUCCEEDED, self.job.id), f"the webhook told {told}")
        return f"webhook {event['type']} received, signature verified"

    def list_checkpoints(self) -> str:
        """list the checkpoints"""
        steps = [checkpoint.step_number for checkpoint in self.client.fine_tuning.jobs.checkpoints.list(self.job.id)]
        expect(bool(steps), "there are none")
        return f"checkpoints listed, of the steps {', '.join(map(str, sorted(steps)))}"

    def ask_both(self) -> str:
        """ask the base model and the tuned one the same question"""
        answers = {model: self._ask(model, QUESTION) for model in (MODEL, self.model)}
        expect(all(answers.values()), f"the answers were {answers}")
        expect(answers[MODEL] != answers[self.model], f"both gave the same answer: {answers[MODEL]}")
        self.screen.side_by_side(QUESTION, answers)
        return "base and tuned model asked; the sandbox's tuned model remembers its examples, it does not learn"

    def cancel_another(self) -> str:
        """cancel a second job"""
        job = self._create()
        self.client.fine_tuning.jobs.cancel(job.id)
        for _ in moments("the cancelled status", self.training_patience):
            status = self.client.fine_tuning.jobs.retrieve(job.id).status
            if status in FINAL:
                break
        expect(status == "cancelled", f"the second job {status}")
        return f"second job {job.id} cancelled"

    def delete_model(self) -> str:
        """delete the tuned model"""
        expect(self.client.models.delete(self.model).deleted, "the answer does not say that it is deleted")
        try:
            self.client.models.retrieve(self.model)
        except NotFoundError:
            return f"tuned model {self.model} deleted"
        raise NotSeen("the model can still be retrieved")

    def steps(self) -> list[Callable[[], str]]:
        """In order. A step's docstring says what it is to do, and its result what was seen."""
        beginning = [self.register_webhook, self.upload, self.create_job, self.list_jobs, self.retrieve_job]
        training = [self.follow_job, self.receive_webhook, self.list_checkpoints]
        return [*beginning, *training, self.ask_both, self.cancel_another, self.delete_model]

    def _uploaded(self, dataset: Path) -> FileObject:
        with dataset.open("rb") as lines:
            uploaded = self.client.files.create(file=lines, purpose="fine-tune")
        file = self.client.files.wait_for_processing(uploaded.id, poll_interval=ASK_EVERY, max_wait_seconds=PATIENCE)
        expect(file.status == "processed", f"its status is {file.status}: {file.status_details}")
        size = dataset.stat().st_size
        expect(file.bytes == size, f"{file.bytes} of {size} bytes have arrived")
        return file

    @staticmethod
    def _count(dataset: Path) -> int:
        return dataset.read_bytes().count(b"\n")

    def _create(self, metadata: dict[str, str] | None = None) -> FineTuningJob:
        jobs = self.client.fine_tuning.jobs
        return jobs.create(training_file=self.file.id, model=self.base_model, suffix=self.suffix, metadata=metadata)

    def _ask(self, model: str, question: str) -> str:
        answer = self.client.chat.completions.create(
            model=model,
            messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}],
        )
        return answer.choices[0].message.content or ""

    def _follow(self, training: Training) -> None:
        followed = FollowedJob(self.client, self.job.id)
        self.losses = followed.losses
        for _ in moments("the end of the job", self.training_patience, self.follow_every):
            self.job, news = followed.poll()
            for event in news:
                followed.show(event, training)
            if self.job.status in FINAL:
                return


Steps = Story
"""What the demo runs; `cli.local.training_story` has others."""

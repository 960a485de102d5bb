"""OpenAI's fine-tuning tutorial as one program: upload, train, look after, read the metrics, use, cancel, delete.

pip install openai
export OPENAI_API_KEY=…         # and OPENAI_BASE_URL, where it is not OpenAI itself
python tutorial.py [train.jsonl]
"""

import sys
import time
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

from openai import OpenAI, OpenAIError
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

MODEL = "gpt-4o-mini"
EXAMPLES = Path(__file__).with_name("train.jsonl")
SYSTEM = "You are a teaching assistant for machine learning. Answer in the style of Shakespeare."
QUESTION = "What is overfitting, and how do I notice it?"
POLL_SECONDS = 2.0
ENDED = {"succeeded", "failed", "cancelled"}
CURVES = {
    "train_loss": "loss",
    "train_mean_token_accuracy": "accuracy",
    "valid_loss": "test loss",
    "valid_mean_token_accuracy": "test acc.",
}
CHART_ROWS, CHART_WIDTH = 12, 40

client = OpenAI()


def main(examples: Path) -> None:
    file = upload(examples)
    job, events = train(file)
    step("5. Read the metrics")
    draw([event.data for event in events if event.type == "metrics" and isinstance(event.data, dict)])
    step("6. Use the model")
    model = job.fine_tuned_model or sys.exit(f"The job {job.id} succeeded without naming its model.")
    print(f"> {QUESTION}\n{ask(model)}")
    cancel_another(file)
    step("Delete the model")
    print(client.models.delete(model))


def step(name: str) -> None:
    print(f"\n{name}\n{'-' * len(name)}", flush=True)


def upload(examples: Path) -> FileObject:
    step("3. Upload the examples")
    with examples.open("rb") as body:
        file = client.files.create(file=body, purpose="fine-tune")
    print(file)
    return file


def train(file: FileObject) -> tuple[FineTuningJob, list[FineTuningJobEvent]]:
    step("4. Create the job")
    job = client.fine_tuning.jobs.create(training_file=file.id, model=MODEL)
    print(job)
    step("4a. Look after it")
    for listed in client.fine_tuning.jobs.list(limit=10).data:
        print(listed.id, listed.status, listed.model)
    print(client.fine_tuning.jobs.retrieve(job.id))
    job, events = follow(job.id)
    if job.status != "succeeded":
        sys.exit(f"The job {job.id} did not succeed, it {ending(job)}.")
    return job, events


def cancel_another(file: FileObject) -> None:
    step("Cancel a second job")
    job = client.fine_tuning.jobs.create(training_file=file.id, model=MODEL)
    print(client.fine_tuning.jobs.cancel(job.id))
    job, _ = follow(job.id)
    if job.status != "cancelled":
        sys.exit(f"The job {job.id} was to be cancelled, but it {ending(job)}.")


def follow(job_id: str) -> tuple[FineTuningJob, list[FineTuningJobEvent]]:
    """Tell what happens to a job until it ends, and return its events, oldest first."""
    seen: dict[str, FineTuningJobEvent] = {}
    while True:
        job = client.fine_tuning.jobs.retrieve(job_id)
        newest_first = client.fine_tuning.jobs.list_events(fine_tuning_job_id=job_id, limit=10)
        news = list(takewhile(lambda event: event.id not in seen, newest_first))[::-1]
        tell(news)
        seen.update((event.id, event) for event in news)
        if job.status in ENDED:
            return job, list(seen.values())
        time.sleep(POLL_SECONDS)


def tell(news: list[FineTuningJobEvent]) -> None:
    """A line for every message, and for every run of training steps its last one."""
    for are_metrics, events in groupby(news, lambda event: event.type == "metrics"):
        for event in list(events)[-1:] if are_metrics else events:
            print(time.strftime("%H:%M:%S", time.localtime(event.created_at)), event.message, flush=True)


def ending(job: FineTuningJob) -> str:
    return f"{job.status}: {job.error.message}" if job.error and job.error.message else job.status


def draw(steps: list[dict[str, Any]]) -> None:
    """A table of the curves with a bar for the training loss, in a dozen rows from the first step to the last."""
    last = len(steps) - 1
    rows = [steps[row * last // (CHART_ROWS - 1)] for row in range(CHART_ROWS)] if last >= CHART_ROWS else steps
    highest = max((row["train_loss"] for row in rows), default=0) or 1
    print(" step", *(f"{title:>9}" for title in CURVES.values()))
    for row in rows:
        figures = (f"{row[curve]:9.3f}" if row.get(curve) is not None else f"{'–':>9}" for curve in CURVES)
        print(f"{row['step']:5}", *figures, " " + "█" * round(row["train_loss"] / highest * CHART_WIDTH))


def ask(model: str) -> str | None:
    completion = client.chat.completions.create(
        model=model,
        messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}],
    )
    return completion.choices[0].message.content


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES)
    except (OpenAIError, OSError) as error:
        sys.exit(f"That did not work: {error}")

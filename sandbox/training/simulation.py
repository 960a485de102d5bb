"""What happens to a job, in order: the statuses, texts and numbers of OpenAI's own log, and no learning at all."""

import csv
import math
import string
from collections.abc import Iterator

from sandbox.models import BASES
from sandbox.records import Checkpoint, FileObject, JobError, Model, StoredFile, TunedModel, new_id
from sandbox.runs import Life, Run
from sandbox.state import State
from sandbox.training.curve import Curve
from sandbox.training.hyperparameters import resolve, steps_per_epoch
from sandbox.training_file import METHODS, Dataset

VALIDATING_SECONDS, QUEUED_SECONDS, FINISHING_SECONDS = 2.0, 1.5, 1.0
STEP_SECONDS, MAX_TRAINING_SECONDS = 0.1, 60.0
MAX_STEPS_TOLD = 5_000
"""A job of more steps than this tells of every second, third … one, lest one job fill the memory."""

MIN_EXAMPLES = 10
CHECKPOINTS_KEPT = 3
SUFFIX_LETTERS = frozenset(string.ascii_lowercase + string.digits + "-_.")
RESULT_COLUMNS = {
    "step": "step",
    "train_loss": "train_loss",
    "train_accuracy": "train_mean_token_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_mean_token_accuracy",
}
"""The result file's columns, and the metric that fills each."""


def begin(run: Run, state: State) -> None:
    """Tell of the job's creation and start its life."""
    job = run.job
    run.tell(f"Created fine-tuning job: {job.id}", data={})
    also = f" and validation file: {job.validation_file}" if job.validation_file else ""
    run.tell(f"Validating training file: {job.training_file}{also}", data={})
    run.begin(_life(run, state), state.settings.speed)


def _life(run: Run, state: State) -> Life:
    job = run.job
    yield VALIDATING_SECONDS
    if error := run.armed_error or _problem(run):
        fail(run, error)
        return
    resolve(run.hyperparameters, run.training.n_examples, run.base)
    if run.method == "supervised":
        job.hyperparameters = run.hyperparameters
    run.tell("Files validated, moving job to queued state", data={})
    job.status = "queued"
    yield QUEUED_SECONDS
    job.status = "running"
    run.tell("Fine-tuning job started")
    yield from _train(run, state)
    yield FINISHING_SECONDS
    _succeed(run, state)


def pause(run: Run, state: State, now: float) -> None:
    """Stop a running job where it is, keeping the model as it is by now."""
    run.pause(now)
    run.job.status, run.job.estimated_finish = "paused", None
    run.tell("Fine-tuning job paused", data={})
    if run.metrics:
        save_checkpoint(run, state, run.last_step)


def resume(run: Run, now: float) -> None:
    """Queue a paused job again, to go on with the step it was in."""
    run.resume(_requeued(run), now)


def _requeued(run: Run) -> Life:
    run.job.status = "queued"
    run.tell("Fine-tuning job resumed, moving job to queued state", data={})
    yield QUEUED_SECONDS
    run.job.status = "running"
    run.tell("Fine-tuning job started")


def _train(run: Run, state: State) -> Life:
    curve, before = _curve(run), 0
    seconds = min(STEP_SECONDS, MAX_TRAINING_SECONDS / curve.total_steps)
    for step in _told_steps(curve):
        run.job.estimated_finish = _in_time(run, (curve.total_steps - before) * seconds + FINISHING_SECONDS)
        yield (step - before) * seconds
        before = step
        _tell_metrics(run, curve, step)
        if curve.ends_epoch(step) and step < curve.total_steps:
            save_checkpoint(run, state, step)


def _told_steps(curve: Curve) -> Iterator[int]:
    stride = math.ceil(curve.total_steps / MAX_STEPS_TOLD)
    return (step for step in range(1, curve.total_steps + 1) if step % stride == 0 or curve.ends_epoch(step))


def _curve(run: Run) -> Curve:
    steps = steps_per_epoch(run.hyperparameters, run.training.n_examples)
    total = steps * int(run.hyperparameters["n_epochs"])
    return Curve(run.job.seed, total, steps, run.validation is not None)


def _in_time(run: Run, seconds: float) -> int | None:
    finish = run.after(seconds)
    return int(finish) if finish < math.inf else None


def _tell_metrics(run: Run, curve: Curve, step: int) -> None:
    if run.method == "reinforcement":
        metrics = curve.reinforcement(step)
        message = f"Step {step}/{curve.total_steps}: training mean reward={metrics['train_mean_reward']:.2f}"
    else:
        metrics = curve.supervised(step)
        message = f"Step {step}/{curve.total_steps}: training loss={metrics['train_loss']:.2f}"
        if "valid_loss" in metrics:
            message += f", validation loss={metrics['valid_loss']:.2f}"
        if "full_valid_loss" in metrics:
            message += f", full validation loss={metrics['full_valid_loss']:.2f}"
    run.metrics.append(metrics)
    run.tell(message, type="metrics", data=metrics)


def save_checkpoint(run: Run, state: State, step: int) -> None:
    """Keep the model as it is after this step."""
    name = f"{new_model_name(run)}:ckpt-step-{step}"
    _keep(run, state, name, step)
    run.tell(f"Checkpoint created at step {step} with Snapshot ID: {name}", data={})


def new_model_name(run: Run) -> str:
    """`ft:{base}:{organization}:{suffix}:{8 characters}`; a suffix cannot bring colons of its own."""
    suffix = (run.job.user_provided_suffix or "").lower()
    safe = "".join(letter if letter in SUFFIX_LETTERS else "-" for letter in suffix)
    return f"ft:{run.base}:{run.job.organization_id.removeprefix('org-')}:{safe}:{new_id('', 8)}"


def _keep(run: Run, state: State, name: str, step: int) -> None:
    metrics = {key: value for key, value in (run.metrics or [{}])[-1].items() if key != "total_steps"}
    checkpoint = Checkpoint(
        id=new_id("ftckpt_"),
        created_at=int(run.clock),
        fine_tuned_model_checkpoint=name,
        fine_tuning_job_id=run.id,
        metrics=metrics,
        step_number=step,
    )
    run.checkpoints.append(checkpoint)
    for old in run.checkpoints[:-CHECKPOINTS_KEPT]:
        state.models.pop(old.fine_tuned_model_checkpoint, None)
    del run.checkpoints[:-CHECKPOINTS_KEPT]
    state.models[name] = TunedModel(
        model=Model(
            id=name,
            created=int(run.clock),
            owned_by=state.settings.organization,
            shutdown_date=BASES[run.base].shutdown_date,
        ),
        base=run.base,
        memory=run.training.examples + run.inherited,
    )


def _succeed(run: Run, state: State) -> None:
    job, name = run.job, new_model_name(run)
    _keep(run, state, name, run.last_step)
    run.tell(f"New fine-tuned model created: {name}", data={})
    run.tell(f"Usage policy checks of {name} passed", data={"blocked": False})
    job.fine_tuned_model = name
    job.trained_tokens = run.training.tokens * int(run.hyperparameters["n_epochs"])
    job.result_files = [_write_results(run, state)]
    run.end("succeeded")
    run.tell("The job has successfully completed", data={})


def _write_results(run: Run, state: State) -> str:
    path = state.new_path()
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(RESULT_COLUMNS)
        rows.writerows([metrics.get(name, "") for name in RESULT_COLUMNS.values()] for metrics in run.metrics)
    stored = FileObject(
        id=new_id("file-", 22),
        bytes=path.stat().st_size,
        created_at=int(run.clock),
        filename="step_metrics.csv",
        purpose="fine-tune-results",
    )
    state.files[stored.id] = StoredFile(file=stored, path=path)
    return stored.id


def cancel(run: Run) -> None:
    run.end("cancelled")
    run.tell("The job was cancelled", data={})


def fail(run: Run, error: JobError) -> None:
    """End a job with a reason, which its log repeats."""
    run.end("failed", error)
    run.tell(error.message, level="error", data={})


def _problem(run: Run) -> JobError | None:
    """The first thing wrong with the job's files, in the codes and words observed at OpenAI."""
    return _problem_with(run, run.training, "training", MIN_EXAMPLES) or (
        _problem_with(run, run.validation, "validation", 1) if run.validation else None
    )


def _problem_with(run: Run, dataset: Dataset, kind: str, least: int) -> JobError | None:
    param, code = f"{kind}_file", f"invalid_{kind}_file"
    opening = f"The job failed due to an invalid {kind} file."
    if dataset.problem:
        return JobError(code=code, message=f"{opening} {dataset.problem}", param=param)
    if (made_for := METHODS[dataset.format]) != run.method:
        file_id = run.job.training_file if kind == "training" else run.job.validation_file
        message = (
            f"{opening} Invalid file format. Input file {file_id} is in the fine-tune-{dataset.format} format, but the "
            f"specified fine-tuning job is not using '{made_for}' (provided method={run.method})."
        )
        return JobError(code=code, message=message, param=param)
    if dataset.n_examples < least:
        found = f"{kind.capitalize()} file has {dataset.n_examples} example(s)"
        message = f"{found}, but must have at least {least} examples"
        return JobError(code="invalid_n_examples", message=message, param=param)
    return None

"""Simulates a job: its statuses, events, metrics, checkpoints and results follow OpenAI's; nothing is trained."""

import math
from collections.abc import Iterator

from sandbox.records import TunedModel
from sandbox.runs import Run, Script
from sandbox.state import SandboxState
from sandbox.training.curve import Curve
from sandbox.training.hyperparameters import automatic, steps_per_epoch
from wire_server.job_files import METRICS_NAME, first_problem, keep_result, write_metrics
from wire_server.records import JobError, Model

VALIDATING_SECONDS, QUEUED_SECONDS, FINISHING_SECONDS = 2.0, 1.5, 1.0
STEP_SECONDS, MAX_TRAINING_SECONDS = 0.1, 60.0
MAX_METRICS_EVENTS = 5_000
"""Per job, to bound the memory: a job of more steps reports only every second, third … step, and each epoch's last."""


def begin(run: Run, state: SandboxState) -> None:
    """Writes the first events of a new job and starts its script."""
    run.tell_creation()
    run.begin(_script(run, state), state.settings.speed)


def go_on(run: Run, state: SandboxState) -> None:
    """Lets a job continue after a restart of the sandbox."""
    if run.is_over:
        run.due = math.inf
    else:
        run.go_on(_script(run, state), state.settings.speed)


def _script(run: Run, state: SandboxState) -> Script:
    """What is left to do of a job, from its status and its last step on."""
    job = run.job
    if job.status == "validating_files":
        yield VALIDATING_SECONDS
        if error := run.armed_error or _problem(run):
            run.fail(error)
            return
        run.choose(automatic(run.training.n_examples, run.base))
        run.add_event("Files validated, moving job to queued state")
        job.status = "queued"
    if job.status == "queued":
        yield from _wait_in_queue(run)
    yield from _train(run, state)
    yield FINISHING_SECONDS
    _succeed(run, state)


def pause(run: Run, state: SandboxState, now: float) -> None:
    """Interrupts a running job and, if it has trained, keeps a checkpoint of its last step."""
    run.stop_clock(now)
    run.pause()
    if run.metrics:
        save_checkpoint(run, state, run.last_step)


def resume(run: Run, now: float) -> None:
    """Queues a paused job again; it continues with the step it was in."""
    run.run_again(_requeued(run), now)


def _requeued(run: Run) -> Script:
    run.requeue()
    yield from _wait_in_queue(run)


def _wait_in_queue(run: Run) -> Script:
    yield QUEUED_SECONDS
    run.job.status = "running"
    run.add_event("Fine-tuning job started")


def _train(run: Run, state: SandboxState) -> Script:
    curve, before = _curve(run), run.last_step
    seconds = min(STEP_SECONDS, MAX_TRAINING_SECONDS / curve.total_steps)
    for step in _reported_steps(curve, before):
        run.job.estimated_finish = _estimated_finish(run, (curve.total_steps - before) * seconds + FINISHING_SECONDS)
        yield (step - before) * seconds
        before = step
        _add_metrics(run, curve, step)
        if curve.ends_epoch(step) and step < curve.total_steps:
            save_checkpoint(run, state, step)


def _reported_steps(curve: Curve, before: int) -> Iterator[int]:
    stride = math.ceil(curve.total_steps / MAX_METRICS_EVENTS)
    return (step for step in range(before + 1, curve.total_steps + 1) if step % stride == 0 or curve.ends_epoch(step))


def _curve(run: Run) -> Curve:
    steps = steps_per_epoch(run.hyperparameters, run.training.n_examples)
    total = steps * int(run.hyperparameters["n_epochs"])
    return Curve(run.job.seed, total, steps, run.validation is not None)


def _estimated_finish(run: Run, seconds: float) -> int | None:
    finish = run.after(seconds)
    return int(finish) if finish < math.inf else None


def _add_metrics(run: Run, curve: Curve, step: int) -> None:
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
    run.add_event(message, type="metrics", data=metrics)


def save_checkpoint(run: Run, state: SandboxState, step: int) -> None:
    """Adds a checkpoint of this step, with a model that can be called."""
    name = f"{state.model_name(run)}:ckpt-step-{step}"
    _keep(run, state, name, step)
    run.add_event(f"Checkpoint created at step {step} with Snapshot ID: {name}")


def _keep(run: Run, state: SandboxState, name: str, step: int) -> None:
    metrics = {key: value for key, value in (run.metrics or [{}])[-1].items() if key != "total_steps"}
    run.add_checkpoint(name, step, metrics)
    for old in run.checkpoints[: -state.checkpoints_kept]:
        state.tuned.pop(old.fine_tuned_model_checkpoint, None)
    del run.checkpoints[: -state.checkpoints_kept]
    state.tuned[name] = TunedModel(
        model=Model(
            id=name,
            created=int(run.clock),
            owned_by=state.settings.organization,
            shutdown_date=state.models[run.base].shutdown_date,
        ),
        base=run.base,
        memory=run.training.examples + run.inherited,
    )


def _succeed(run: Run, state: SandboxState) -> None:
    job, name = run.job, state.model_name(run)
    _keep(run, state, name, run.last_step)
    run.add_event(f"New fine-tuned model created: {name}")
    run.add_event(f"Usage policy checks of {name} passed", data={"blocked": False})
    job.trained_tokens = run.training.tokens * int(run.hyperparameters["n_epochs"])
    table = write_metrics(state, run.metrics)
    job.result_files = [keep_result(state, table, METRICS_NAME, int(run.clock))]
    run.succeed(name)


def _problem(run: Run) -> JobError | None:
    return first_problem(run.job, run.method, run.training, run.validation)

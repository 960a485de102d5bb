"""A job as the wire shows it."""

import csv
import io
import json
from typing import Any

from sandbox.runs import Run
from sandbox.wires.fireworks.access import time
from sandbox.wires.fireworks.engine import SUPERVISED, FireworksSandbox, body_of, settings_of
from sandbox.wires.fireworks.status import WORDS

PRICE_PER_MILLION = 500_000_000
"""Of tokens, in billionths of a dollar."""
_STATES = {
    "validating_files": "VALIDATING",
    "queued": "PENDING",
    "running": "RUNNING",
    "paused": "PAUSED",
    "succeeded": "COMPLETED",
    "failed": "FAILED",
    "cancelled": "CANCELLED",
}


def state(engine: FireworksSandbox, run: Run) -> str:
    word = _STATES[run.job.status]
    if word == "PENDING" and engine.switches.requeued:
        word = "RE_QUEUEING"
    if word == "RUNNING" and run.metrics and run.last_step == run.metrics[-1]["total_steps"]:
        word = "WRITING_RESULTS"
    if word == "COMPLETED" and body_of(run).get("earlyStop"):
        word = "EARLY_STOPPED"
    if word == "CANCELLED" and run.id in engine.cancelling:
        engine.cancelling.discard(run.id)
        word = "CANCELLING"
    return prefixed(engine, word)


def prefixed(engine: FireworksSandbox, word: str) -> str:
    return f"JOB_STATE_{word}" if engine.switches.has_prefix else word


def job(engine: FireworksSandbox, run: Run, signed_metrics: str) -> dict[str, Any]:
    """Fields without a value are there with an empty one, as such gateways do."""
    error = run.job.error
    status = (
        {"code": WORDS.get(error.code, "INTERNAL"), "message": error.message}
        if error
        else {"code": "OK", "message": ""}
    )
    kind = run.id.partition("/")[0]
    common = {
        "evaluationDataset": "",
        "name": f"accounts/{engine.account}/{run.id}",
        "state": state(engine, run),
        "status": status,
        "createTime": time(run.job.created_at),
        "updateTime": time(run.clock),
        "completedTime": time(run.job.finished_at),
        "createdBy": "sandbox@example.com",
    }
    shown = body_of(run) | common | {"evaluationDataset": body_of(run).get("evaluationDataset", "")}
    if kind != SUPERVISED:
        del shown["evaluationDataset"]
        return shown | {"trainingConfig": _numbers(run) | settings_of(run)}
    address = signed_metrics if run.metrics and engine.switches.signs_metrics else ""
    extras = {"jobProgress": _progress(run), "estimatedCost": _cost(run), "metricsFileSignedUrl": address}
    return _numbers(run) | shown | extras


def _numbers(run: Run) -> dict[str, Any]:
    """What the job trains by; 0 where it is not chosen yet."""
    chosen = {name: 0 if value == "auto" else value for name, value in run.hyperparameters.items()}
    return {
        "epochs": chosen["n_epochs"],
        "batchSizeSamples": chosen["batch_size"],
        "learningRate": 0.0001,
        "loraRank": 8,
    }


def _progress(run: Run) -> dict[str, Any]:
    total = run.metrics[-1]["total_steps"] if run.metrics else 0
    percent = 100 * run.last_step // total if total else 0
    epochs = run.hyperparameters["n_epochs"]
    epoch = (run.last_step - 1) * epochs // total if total and run.last_step else 0
    return {"percent": percent, "epoch": epoch, "inputTokens": str(run.job.trained_tokens or 0)}


def _cost(run: Run) -> dict[str, Any]:
    epochs = run.hyperparameters["n_epochs"]
    nanos = run.training.tokens * (epochs if epochs != "auto" else 1) * PRICE_PER_MILLION // 1_000_000
    return {"currencyCode": "USD", "units": str(nanos // 10**9), "nanos": nanos % 10**9}


def metrics_file(engine: FireworksSandbox, run: Run) -> str:
    """The file of metrics in the form that is switched on; nobody outside knows the true one."""
    times = [event.created_at for event in run.events if event.type == "metrics"]
    rows = [_row(metrics, at) for metrics, at in zip(run.metrics, times, strict=True)]
    if engine.switches.metrics == "csv":
        table = io.StringIO()
        writer = csv.DictWriter(table, ["step", "train_loss", "eval_loss"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(
            {"step": row["step"], "train_loss": row["train/loss"], "eval_loss": row.get("eval/loss")} for row in rows
        )
        return table.getvalue()
    if engine.switches.metrics == "nested":
        nested = [{"global_step": row["step"], "train": {"loss": row["train/loss"]}} for row in rows]
        return "".join(json.dumps(row) + "\n" for row in nested)
    return "".join(json.dumps(row) + "\n" for row in rows)


def _row(metrics: dict[str, Any], at: int) -> dict[str, Any]:
    names = {
        "step": "step",
        "total_steps": "total_steps",
        "train/loss": "train_loss",
        "train/mean_token_accuracy": "train_mean_token_accuracy",
        "eval/loss": "valid_loss",
    }
    row = {theirs: metrics[ours] for theirs, ours in names.items() if ours in metrics}
    return row | {"timestamp": at}

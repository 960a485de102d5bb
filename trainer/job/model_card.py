"""The README.md of a tuned model: of what it was made, how, and how well it went."""

import hashlib
import json
from pathlib import Path
from typing import Any

from trainer.job.lines import Lines
from trainer.job.settings import Job


def write(folder: Path, job: Job, lines: Lines) -> None:
    (folder / "README.md").write_text(_text(job, lines), encoding="utf-8")


def _text(job: Job, lines: Lines) -> str:
    head = {"base_model": job.base_name, "tags": ["tunery", job.method] + ([] if job.options.full else ["lora"])}
    if not job.options.full:
        head["library_name"] = "peft"
    parts = [
        "---",
        *(f"{name}: {json.dumps(value)}" for name, value in head.items()),
        "---",
        "",
        f"# {job.model}",
        "",
        f"`{job.base_name}`, fine-tuned by the job `{job.id}` ({job.method}).",
        "",
        *_table("Data", "SHA-256", {"training file": _sha256(job.train)} | _valid_file(job)),
        *_table("Hyperparameters", "value", _hyperparameters(job)),
        *_losses(lines),
    ]
    return "\n".join(parts)


def _hyperparameters(job: Job) -> dict[str, Any]:
    values: dict[str, Any] = {
        "n_epochs": job.n_epochs,
        "batch_size": job.batch_size,
        "learning_rate": job.learning_rate,
        "warmup": job.options.warmup,
        "seed": job.seed,
        "max_length": job.options.max_length,
        "packing": job.options.packing or None,
        "devices": f"{len(job.devices)} {'GPU' if job.on_gpu else 'CPU'}{'s' if len(job.devices) > 1 else ''}",
    }
    if job.method == "dpo":
        values["beta"] = job.beta
    if job.options.full:
        return values | {"full": True}
    if job.from_adapter:
        return values | {"adapter": "goes on from that of another job"}
    options = job.options
    values |= {"rank": options.rank, "alpha": options.alpha, "dropout": options.dropout, "targets": options.targets}
    return values | ({"quantization": options.quantization} if options.quantization else {})


def _losses(lines: Lines) -> list[str]:
    trained, validated = {}, {}
    for line in lines.read():
        if line.get("event") == "step":
            trained[line["step"]] = line["train_loss"]
        elif line.get("event") == "valid":
            validated[line["step"]] = line["valid_loss"]
    steps = sorted({*validated, *([min(trained), max(trained)] if trained else [])})
    rows = [f"| {step} | {_number(trained.get(step))} | {_number(validated.get(step))} |" for step in steps]
    return ["## Losses", "", "| step | training | validation |", "|---|---|---|", *rows, ""]


def _table(title: str, column: str, values: dict[str, Any]) -> list[str]:
    rows = [f"| {name} | {value} |" for name, value in values.items() if value is not None]
    return [f"## {title}", "", f"| | {column} |", "|---|---|", *rows, ""]


def _valid_file(job: Job) -> dict[str, str]:
    return {"validation file": _sha256(job.valid)} if job.valid else {}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"

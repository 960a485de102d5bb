"""How much memory a job will take at most, and the refusal of one that cannot fit."""

from dataclasses import dataclass

from trainer.job.failures import OutOfMemory
from trainer.job.memory import available, weights
from trainer.job.model import config_of
from trainer.job.precision import has_bfloat16
from trainer.job.settings import Job

_GIB = 2**30
# Bytes for each number of a layer's width and token, kept between the forward and the backward pass. Measured with
# bfloat16 bases under autocast; `benchmark` of the job's tests says how.
_KEPT_OF_HIDDEN, _KEPT_OF_INNER = 40, 14
_LOGITS_BYTES, _LOGITS_BLOCK = 12, 1024
_QUANTIZED_EIGHTHS = 6  # bytes for 8 weights in 4 bits, with their scales and the layers that stay as they are
_ADAMW = 16  # bytes for a trained weight: itself, its gradient and two averages, all float32


@dataclass(frozen=True)
class Batch:
    """The largest batch: its rows, the tokens of its longest row, and the positions that are learnt in all of it."""

    rows: int
    longest: int
    learnt: int


@dataclass(frozen=True)
class Estimate:
    """In bytes."""

    weights: int
    trained: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.trained + self.activations


def of(job: Job, batch: Batch) -> Estimate:
    shapes, config = weights.shapes(job.base), config_of(job.base)
    count = weights.parameters(shapes)
    hidden = int(config.get("hidden_size") or 0)
    inner = int(config.get("intermediate_size") or 4 * hidden)
    layers = int(config.get("num_hidden_layers") or 0)
    kept = batch.rows * batch.longest * layers * (_KEPT_OF_HIDDEN * hidden + _KEPT_OF_INNER * inner)
    logits = batch.learnt * _LOGITS_BLOCK * _LOGITS_BYTES
    if job.options.full:
        return Estimate(0, count * _ADAMW, kept + logits)
    adapter = weights.adapter_parameters(shapes, job.options.targets, job.options.rank)
    if job.options.quantization:
        return Estimate(count * _QUANTIZED_EIGHTHS // 8, adapter * _ADAMW, kept + logits)
    width = 2 if has_bfloat16(job.device) else 4
    return Estimate(count * width, adapter * _ADAMW, kept * width // 2 + logits)


def refuse_what_cannot_fit(job: Job, batch: Batch) -> None:
    room = available.of_gpu(job.device) if job.device.startswith("cuda") else available.of_host()
    needed = of(job, batch)
    if room is None or needed.total <= room:
        return
    where = "of the GPU's memory is" if job.device.startswith("cuda") else "of memory is"
    raise OutOfMemory(
        f"This job needs about {_gib(needed.total)} ({_gib(needed.weights)} for the base, {_gib(needed.trained)} for "
        f"what is trained, {_gib(needed.activations)} for batches of {batch.rows} rows of up to {batch.longest} "
        f"tokens), but {_gib(room)} {where} free. {what_to_change(job, batch.longest)}"
    )


def what_to_change(job: Job, longest: int | None) -> str:
    changes = []
    if job.batch_size > 1:
        changes.append(f"a smaller batch_size ({job.batch_size} now)")
    at_most = job.options.max_length or longest
    changes.append(f"a smaller max_length ({at_most} tokens now)" if at_most else "a smaller max_length")
    if job.options.full:
        changes.append("an adapter instead of full tuning")
    elif job.options.rank > 1:
        changes.append(f"a smaller rank ({job.options.rank} now)")
    return f"Try {', '.join(changes)}, or a smaller base."


def _gib(size: int) -> str:
    return f"{size / _GIB:.2f} GiB"

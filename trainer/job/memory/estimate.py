"""How much memory a job will take at most, and the refusal of one that cannot fit."""

from dataclasses import dataclass

from trainer.job.failures import OutOfMemory
from trainer.job.memory import available, weights
from trainer.job.model import config_of
from trainer.job.precision import has_bfloat16
from trainer.job.settings import Job

_GIB = 2**30
# Bytes that a layer keeps between the forward and the backward pass, for a token: for each number of its width, and of
# its inner width. Measured with torch's hooks for saved tensors, on Llamas of several widths.
_KEPT_IN_BFLOAT16, _KEPT_IN_FLOAT32, _KEPT_FOR_ALL_WEIGHTS = (32, 9), (34, 16), (50, 16)
_KEPT_OF_LENGTH = 4  # bytes for a token, a layer and another token of its row
_BACKWARD = 1.15  # gradients of activations come to what is kept
# TRL goes through learnt positions and the vocabulary in tiles of at most this size; about three live at a time.
_TILE_POSITIONS, _TILE_WORDS, _TILE_BYTES = 4096, 32768, 12
_QUANTIZED_EIGHTHS = 6  # bytes for 8 weights in 4 bits, with their scales and the layers that stay as they are
_ADAMW = 16  # bytes for a trained weight: itself, its gradient and two averages, all float32
_EXCHANGED = 4  # bytes for a trained weight where processes add up their gradients


@dataclass(frozen=True)
class Batch:
    """The largest batch of a process: its rows, the tokens of its longest row, and the positions that are learnt in all
    of it."""

    rows: int
    longest: int
    learnt: int


@dataclass(frozen=True)
class Estimate:
    """In bytes, of one process."""

    weights: int
    trained: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.trained + self.activations


def of(job: Job, batch: Batch) -> Estimate:
    shapes = weights.shapes(job.base)
    count, activations = weights.parameters(shapes), _activations(job, batch)
    of_a_weight = _ADAMW + (_EXCHANGED if len(job.devices) > 1 else 0)
    # Before it is sharded, a base lies in the machine's memory, where there is one process for each whole of it.
    parts = len(job.devices) if job.options.shard and job.on_gpu else 1
    if job.options.full:
        return Estimate(0, count * of_a_weight // parts, activations)
    adapter = weights.adapter_parameters(shapes, job.options.targets, job.options.rank)
    eighths = 8 * (2 if has_bfloat16(job.device) else 4)
    if job.options.quantization:
        eighths = _QUANTIZED_EIGHTHS
    return Estimate(count * eighths // 8 // parts, adapter * of_a_weight, activations)


def _activations(job: Job, batch: Batch) -> int:
    config = config_of(job.base)
    hidden, layers, words = (int(config.get(name) or 0) for name in ("hidden_size", "num_hidden_layers", "vocab_size"))
    inner = int(config.get("intermediate_size") or 4 * hidden)
    per_hidden, per_inner = _KEPT_IN_BFLOAT16 if has_bfloat16(job.device) else _KEPT_IN_FLOAT32
    if job.options.full:
        per_hidden, per_inner = _KEPT_FOR_ALL_WEIGHTS
    of_a_token = per_hidden * hidden + per_inner * inner + _KEPT_OF_LENGTH * batch.longest
    kept = batch.rows * batch.longest * layers * of_a_token
    return int(_BACKWARD * kept) + min(batch.learnt, _TILE_POSITIONS) * min(words, _TILE_WORDS) * _TILE_BYTES


def refuse_what_cannot_fit(job: Job, batch: Batch) -> None:
    room = available.of_gpu() if job.on_gpu else available.of_host()
    sharing = 1 if job.on_gpu else len(job.devices)  # processes without a memory of their own
    needed = of(job, batch)
    if room is None or needed.total * sharing <= room:
        return
    where = "of the GPU's memory is" if job.on_gpu else "of memory is"
    who = "This job needs" if len(job.devices) == 1 else f"Each of the {len(job.devices)} processes of this job needs"
    raise OutOfMemory(
        f"{who} about {_gib(needed.total)} ({_gib(needed.weights)} for the base, {_gib(needed.trained)} for "
        f"what is trained, {_gib(needed.activations)} for batches of {batch.rows} rows of up to {batch.longest} "
        f"tokens), but {_gib(room)} {where} free. {what_to_change(job, batch.longest)}"
    )


def what_to_change(job: Job, longest: int | None) -> str:
    changes = []
    if job.batch_size > 1:
        changes.append(f"a smaller batch_size ({job.batch_size} now)")
    at_most = job.options.max_length or longest
    changes.append(f"a smaller max_length ({at_most} tokens now)" if at_most else "a smaller max_length")
    shardable = len(job.devices) > 1 and job.method == "supervised" and not job.options.quantization
    if shardable and not job.options.shard:
        changes.append("provider_options.shard")
    if job.options.full:
        changes.append("an adapter instead of full tuning")
    elif job.options.rank > 1:
        changes.append(f"a smaller rank ({job.options.rank} now)")
    return f"Try {', '.join(changes)}, or a smaller base."


def _gib(size: int) -> str:
    return f"{size / _GIB:.2f} GiB"

"""Trains: reads the rows, loads the model, goes on from the newest checkpoint, leaves `final`."""

import resource
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from transformers import PrinterCallback
from trl import DPOConfig, SFTConfig

from trainer.job import model, model_card
from trainer.job.checkpoints import Checkpoints, step_of
from trainer.job.engines import Preference, Supervised
from trainer.job.failures import Failed
from trainer.job.lines import Lines
from trainer.job.memory import estimate
from trainer.job.precision import has_bfloat16
from trainer.job.progress import Progress
from trainer.job.ranks import sharding, together
from trainer.job.rows import files, packing
from trainer.job.rows.files import Pair
from trainer.job.rows.labels import Conversations, Row
from trainer.job.settings import Job
from trainer.job.stopping import Stopping, exit_code

Rows = list[Row] | list[Pair]


def run(job: Job, folder: Path, lines: Lines, stopping: Stopping) -> int:
    """The process's exit code."""
    torch.set_num_threads(job.threads_of_a_process)
    datasets.disable_caching()
    datasets.disable_progress_bars()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    model.check(job)
    tokenizer, ends = model.tokenizer_of(job.base)
    train, valid, left_out = _rows(job, Conversations(tokenizer, ends))
    steps_per_epoch = -(-len(train) // job.batch_size)
    checkpoints = Checkpoints(folder, steps_per_epoch, job.keep_epochs)
    newest, tokens = checkpoints.newest(), sum(_length(row) for row in train)
    if not newest:  # what went on before fits, however little is free while others start again, too
        estimate.refuse_what_cannot_fit(job, _largest(train, job.rows_of_a_process))
        together.wait_for_all()  # what one loads is not free for the others' estimate
    lines.write(
        "started",
        n_train=len(train),
        n_valid=len(valid or ()),
        total_steps=steps_per_epoch * job.n_epochs,
        steps_per_epoch=steps_per_epoch,
        tokens_per_epoch=tokens,
        resumed_from=step_of(newest) if newest else None,
        left_out=left_out,
    )
    base = _model(job, newest)
    engine = _engine(job, checkpoints.partial, base, tokenizer, _table(train), _table(valid) if valid else None)
    engine.begin_with(job, checkpoints, lines, stopping)
    engine.remove_callback(PrinterCallback)
    engine.add_callback(Progress(engine))
    engine.train(resume_from_checkpoint=str(newest) if newest else None)
    stopped = _stopped(engine, stopping)
    if stopped is not None:
        return stopped
    _publish_final(engine, job, checkpoints, lines)
    peak = int(together.added([_peak(job)])[0])
    lines.write("done", step=engine.state.global_step, trained_tokens=tokens * job.n_epochs, peak_bytes=peak)
    return 0


def _rows(job: Job, teller: Conversations) -> tuple[Rows, Rows | None, list[str]]:
    """Those of training and of validation, and what is to be said of those that were left out."""
    limits = files.Limits(model.context_of(job.base), job.options.max_length)
    read: Any = files.pairs if job.method == "dpo" else files.conversations
    train = read(job.train, teller, limits, "training_file")
    if not job.valid:
        return train.rows, None, train.left_out
    valid = read(job.valid, teller, limits, "validation_file")
    return train.rows, valid.rows, train.left_out + valid.left_out


def _model(job: Job, newest: Path | None) -> Any:
    """With `newest`, a checkpoint, if the engine cannot load it later."""
    loaded = model.load(job, newest if job.shards_what_is_trained else None)
    if job.options.packing:
        packing.refuse_a_model_that_mixes(loaded, job.base_name)
    if job.options.shard:
        sharding.shard(loaded, job.device)
    return loaded


def _engine(job: Job, output: Path, loaded: Any, tokenizer: Any, train: Any, valid: Any) -> Any:
    given = {"model": loaded, "processing_class": tokenizer, "train_dataset": train, "eval_dataset": valid}
    common = _arguments(job, output)
    if job.options.packing:
        given["data_collator"] = packing.Packed(tokenizer.eos_token_id or 0)
    if job.method == "supervised":
        return Supervised(args=SFTConfig(**common, dataset_kwargs={"skip_prepare_dataset": True}), **given)
    return Preference(args=DPOConfig(**common, beta=job.beta, precompute_ref_log_probs=True), **given)


def _arguments(job: Job, output: Path) -> dict[str, Any]:
    return {
        "output_dir": str(output),
        "per_device_train_batch_size": job.batch_size,
        "per_device_eval_batch_size": max(8, job.batch_size),
        "num_train_epochs": job.n_epochs,
        "learning_rate": job.learning_rate,
        "lr_scheduler_type": "cosine",
        "warmup_steps": job.options.warmup,  # below 1: a share of all steps
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "optim": "adamw_torch",
        "seed": job.seed,
        "data_seed": job.seed,
        "use_cpu": not job.on_gpu,
        "bf16": has_bfloat16(job.device),
        "gradient_checkpointing": False,
        "max_length": None,  # rows are cut or refused where they are read
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "eval_strategy": "no",  # Progress decides
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": job.on_gpu,
        "ddp_find_unused_parameters": False,
        "ddp_broadcast_buffers": False,
    }


def _table(rows: Rows) -> Any:
    """The columns that TRL expects of rows that are tokenised already."""
    return datasets.Dataset.from_list(
        [
            {"input_ids": row.tokens, "labels": row.labels}
            if isinstance(row, Row)
            else {"prompt_ids": row.prompt, "chosen_ids": row.chosen, "rejected_ids": row.rejected}
            for row in rows
        ]
    )


def _stopped(engine: Any, stopping: Stopping) -> int | None:
    """The exit code of a job that was stopped; None if it came to its end before it noticed."""
    step, wish = engine.state.global_step, stopping.agreed()
    if wish == "cancelled" or (wish == "paused" and (engine.broke_off or step < engine.state.max_steps)):
        engine.lines.write(wish, step=step)
        return exit_code(wish)
    if step < engine.state.max_steps:
        raise Failed("training_failed", f"Training ended at step {step} of {engine.state.max_steps}.")
    return None


def _publish_final(engine: Any, job: Job, checkpoints: Checkpoints, lines: Lines) -> None:
    written = checkpoints.partial / "final"
    if job.options.full:
        engine.model.to(torch.bfloat16)
    weights = sharding.whole_weights(engine.model) if job.shards_what_is_trained else None
    if together.number():
        return
    engine.model.save_pretrained(written, state_dict=weights)
    engine.processing_class.save_pretrained(written)
    model_card.write(written, job, lines)
    checkpoints.publish(written, "final", job.base_name)


def _largest(rows: Rows, batch_size: int) -> estimate.Batch:
    """Any rows can come together, so the longest ones may."""
    lengths = sorted((len(row.tokens), row.learnt) for row in rows if isinstance(row, Row))
    for row in rows:
        if isinstance(row, Pair):
            lengths += [(len(row.prompt) + len(each), len(each)) for each in (row.chosen, row.rejected)]
    together = min(len(lengths), batch_size * (1 if isinstance(rows[0], Row) else 2))
    most_learnt = sorted(learnt for _, learnt in lengths)[-together:]
    return estimate.Batch(together, max(length for length, _ in lengths), sum(most_learnt))


def _length(row: Row | Pair) -> int:
    """In tokens that go through the model."""
    return len(row.tokens) if isinstance(row, Row) else 2 * len(row.prompt) + len(row.chosen) + len(row.rejected)


def _peak(job: Job) -> int:
    if job.on_gpu:
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

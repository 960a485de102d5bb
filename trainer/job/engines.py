"""TRL's trainers, with checkpoints that are whole or not there, and validation averaged over tokens."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import trl.trainer.utils
from transformers import Trainer
from trl import DPOTrainer, SFTTrainer

from trainer.job.checkpoints import Checkpoints
from trainer.job.failures import refuse_what_went_astray
from trainer.job.lines import Lines
from trainer.job.settings import Job
from trainer.job.stopping import Stopping

Sums = dict[str, tuple[torch.Tensor, torch.Tensor | int]]  # a metric's sum over a batch, and the count it is of

# TRL projects only positions with a label through the vocabulary on GPUs, but all of them on CPUs. The name is private
# and decides nothing else in that module; without it a step takes a third longer on a CPU, and nothing else changes.
if hasattr(trl.trainer.utils, "_use_triton"):
    trl.trainer.utils._use_triton = lambda device: True


class _Engine(Trainer):
    """What both trainers share. `begin_with` must be called before training."""

    def begin_with(self, job: Job, checkpoints: Checkpoints, lines: Lines, stopping: Stopping) -> None:
        self.job, self.checkpoints, self.lines, self.stopping = job, checkpoints, lines, stopping
        self.broke_off = False  # validation stopped in its midst

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """TRL writes one into each checkpoint; ours is written once, at the end."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        step = self.state.global_step
        written = Path(self.args.output_dir) / f"checkpoint-{step}"
        self.checkpoints.publish(written, f"step-{step}", self.job.base_name)
        self._tell_checkpoint(step)
        self.checkpoints.prune()

    def tell_saved(self, step: int) -> None:
        """Tells the checkpoint that this process goes on from, if the one before was killed until it could."""
        if step and step not in self.lines.steps_of("checkpoint"):
            self._tell_checkpoint(step)

    def _tell_checkpoint(self, step: int) -> None:
        epoch_end = self.checkpoints.is_epoch_end(step)
        self.lines.write("checkpoint", step=step, folder=f"step-{step}", epoch_end=epoch_end)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Tells the line `valid`. Draws no random numbers, so training goes on as if it had not been there."""
        totals: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        self.model.eval()
        for batch in self._batches():
            if self.stopping.wish:
                self.broke_off = self.control.should_training_stop = True
                self.control.should_save = self.stopping.wish == "paused"
                return {}
            with torch.no_grad(), self.accelerator.autocast():
                sums = self.measure(self._prepare_inputs(batch))
            for name, (value, count) in sums.items():
                totals[name][0] += float(value)
                totals[name][1] += float(count)
        self.model.train()
        means = {name: value / count for name, (value, count) in totals.items() if count}
        refuse_what_went_astray(self.state.global_step, self.job.learning_rate, *means.values())
        self.lines.write("valid", step=self.state.global_step, **means)
        return {}

    def _batches(self) -> Iterator[Any]:
        """Rows of like length together, so that little is padded."""
        rows = [{k: v for k, v in row.items() if v is not None} for row in self.eval_dataset]
        rows.sort(key=lambda row: sum(len(value) for value in row.values() if isinstance(value, list)))
        size = max(8, self.args.per_device_train_batch_size)
        for first in range(0, len(rows), size):
            yield self.data_collator(rows[first : first + size])

    def measure(self, inputs: dict[str, torch.Tensor]) -> Sums:
        raise NotImplementedError


class Supervised(_Engine, SFTTrainer):
    def measure(self, inputs: dict[str, torch.Tensor]) -> Sums:
        outputs = self.model(**inputs, use_cache=False, fused_lm_head=True)
        count = outputs.label_mask.sum()
        return {
            "valid_loss": (-outputs.log_probs.sum(), count),
            "valid_mean_token_accuracy": (outputs.is_top1.sum(), count),
        }


class Preference(_Engine, DPOTrainer):
    """Rows come with the tokens of prompt and answers; the reference is the model that training starts from."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # The reference's probabilities are known by now, and a second adapter would be part of each checkpoint.
        if "ref" in getattr(self.model, "peft_config", {}):
            self.model.delete_adapter("ref")

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset

    def measure(self, inputs: dict[str, torch.Tensor]) -> Sums:
        mask = inputs["completion_mask"]
        outputs = self.model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            labels=inputs["input_ids"].masked_fill(mask == 0, -100),
            use_cache=False,
            fused_lm_head=True,
        )
        chosen, rejected = outputs.log_probs.sum(dim=1).chunk(2)
        chosen = self.beta * (chosen - inputs["ref_chosen_logps"])
        rejected = self.beta * (rejected - inputs["ref_rejected_logps"])
        margins, pairs = chosen - rejected, len(chosen)
        preferred = mask[:pairs, 1:].bool()
        return {
            "valid_loss": (-torch.nn.functional.logsigmoid(margins).sum(), pairs),
            "valid_mean_token_accuracy": ((outputs.is_top1[:pairs] & preferred).sum(), preferred.sum()),
            "rewards_chosen": (chosen.sum(), pairs),
            "rewards_rejected": (rejected.sum(), pairs),
            "rewards_margins": (margins.sum(), pairs),
            "rewards_accuracies": ((margins > 0).float().sum(), pairs),
        }

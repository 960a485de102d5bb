"""TRL's trainers, with checkpoints that are whole or not there, and validation averaged over tokens."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import trl.trainer.utils
from accelerate.data_loader import prepare_data_loader
from torch.utils.data import DataLoader
from transformers import Trainer
from trl import DPOTrainer, SFTTrainer

from trainer.job.checkpoints import Checkpoints
from trainer.job.failures import refuse_what_went_astray
from trainer.job.lines import Lines
from trainer.job.ranks import sharding, together
from trainer.job.rows import batches
from trainer.job.settings import Job
from trainer.job.stopping import Stopping

Sums = dict[str, tuple[torch.Tensor, torch.Tensor | int]]  # a metric's sum over a batch, and the count it is of

SCHEDULER = "scheduler.pt"
_NAMES_IN_LOG = {"valid_mean_token_accuracy": "mean_token_accuracy"} | {
    f"rewards_{name}": f"rewards/{name}" for name in ("chosen", "rejected", "margins", "accuracies")
}

# TRL projects only positions with a label through the vocabulary on GPUs, but all of them on CPUs. The name is private
# and decides nothing else in that module; without it a step takes a third longer on a CPU, and nothing else changes.
if hasattr(trl.trainer.utils, "_use_triton"):
    trl.trainer.utils._use_triton = lambda device: True


class _Engine(Trainer):
    """What both trainers share. `begin_with` must be called before training."""

    def begin_with(self, job: Job, checkpoints: Checkpoints, lines: Lines, stopping: Stopping) -> None:
        self.job, self.checkpoints, self.lines, self.stopping = job, checkpoints, lines, stopping
        self.broke_off = False  # validation stopped in its midst
        if together.number():
            torch.manual_seed(job.seed + together.number())  # dropout is different in each process

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """TRL writes one into each checkpoint; ours is written once, at the end."""

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        together.wait_for_all()  # each adds the state of its random numbers
        if together.number() == 0:
            step = self.state.global_step
            written = Path(self.args.output_dir) / f"checkpoint-{step}"
            self.checkpoints.publish(written, f"step-{step}", self.job.base_name)
            self._tell_checkpoint(step)
            self.checkpoints.prune()
        together.wait_for_all()

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        if not self.job.shards_what_is_trained:
            super().save_model(output_dir, _internal_call)
            return
        weights = sharding.whole_weights(self.model)
        if together.number() == 0:
            self.model.save_pretrained(output_dir, state_dict=weights)
            self.processing_class.save_pretrained(output_dir)

    def _load_from_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        if not self.job.shards_what_is_trained:  # those were loaded before they were sharded
            super()._load_from_checkpoint(*args, **kwargs)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        if not self.job.shards_what_is_trained:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        sharding.save_optimizer(self.model, self.optimizer.optimizer, Path(output_dir))
        if together.number() == 0:
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if not self.job.shards_what_is_trained or checkpoint is None:
            super()._load_optimizer_and_scheduler(checkpoint)
            return
        sharding.load_optimizer(self.model, self.optimizer.optimizer, Path(checkpoint))
        self.lr_scheduler.load_state_dict(torch.load(Path(checkpoint) / SCHEDULER, weights_only=True))

    def _get_grad_norm(self, *args: Any, **kwargs: Any) -> Any:
        return sharding.whole_number(super()._get_grad_norm(*args, **kwargs))

    def get_train_dataloader(self) -> Any:
        """Each process goes through the whole batches, and takes its share of each."""
        if together.count() == 1:
            return super().get_train_dataloader()
        dataset = self._remove_unused_columns(self.train_dataset)
        loader = DataLoader(
            dataset,
            batch_size=self.job.batch_size,
            sampler=self._get_train_sampler(dataset),
            collate_fn=batches.Share(self.data_collator, together.number(), together.count()),
            pin_memory=self.args.dataloader_pin_memory,
        )
        return prepare_data_loader(
            loader,
            self.accelerator.device,
            num_processes=1,
            process_index=0,
            put_on_device=True,
            use_seedable_sampler=True,
            data_seed=self.job.seed,
        )

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
        for batch, counts in self._batches():
            if wish := self.stopping.agreed():
                self.broke_off = self.control.should_training_stop = True
                self.control.should_save = wish == "paused"
                return {}
            with torch.no_grad(), self.accelerator.autocast():
                sums = self.measure(self.model, self._prepare_inputs(batch))
            for name, (value, count) in sums.items():
                totals[name][0] += float(value) * counts
                totals[name][1] += float(count) * counts
        self.model.train()
        added = iter(together.added([number for each in totals.values() for number in each]))
        means = {name: value / count for name, value, count in zip(totals, added, added, strict=True) if count}
        refuse_what_went_astray(self.state.global_step, self.job.learning_rate, *means.values())
        self.lines.write("valid", step=self.state.global_step, **means)
        return {}

    def _batches(self) -> Iterator[tuple[Any, bool]]:
        """Those of this process. Rows of like length are together, so that little is padded. All processes get the
        same number of batches, of which the last may not count."""
        rows = [{k: v for k, v in row.items() if v is not None} for row in self.eval_dataset]
        rows.sort(key=lambda row: sum(len(value) for value in row.values() if isinstance(value, list)))
        size = max(8, self.args.per_device_train_batch_size)
        count = together.count()
        for first in range(0, len(rows), size * count):
            mine = rows[first + size * together.number() :][:size]
            yield self.data_collator(mine or rows[:1]), bool(mine)

    def measure(self, model: Any, inputs: dict[str, torch.Tensor]) -> Sums:
        raise NotImplementedError


class Supervised(_Engine, SFTTrainer):
    def measure(self, model: Any, inputs: dict[str, torch.Tensor]) -> Sums:
        outputs = model(**inputs, use_cache=False, fused_lm_head=True)
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

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *args: Any, **kwargs: Any) -> Any:
        """The mean over the pairs of all processes, of which each may have another number. What is returned is averaged
        over the processes afterwards."""
        sums = self.measure(model, inputs)
        flat = [float(torch.as_tensor(number).detach()) for each in sums.values() for number in each]
        added = iter(together.added(flat))
        means = {name: value / max(1.0, count) for name, value, count in zip(sums, added, added, strict=True)}
        for name, mean in means.items():
            self._metrics["train"][_NAMES_IN_LOG.get(name, name)].append(mean)
        loss, pairs = sums["valid_loss"]
        return loss * together.count() / together.added([float(pairs)])[0]

    def _precompute_ref_logps(self, dataset: Any, name: str, batch_size: int) -> Any:
        """TRL's own takes it for granted that the processes share a cache of the datasets library."""
        if together.count() == 1:
            return super()._precompute_ref_logps(dataset, name, batch_size)
        found = []
        for first in range(0, len(dataset), batch_size * together.count()):  # all take part in each
            numbers = range(first, len(dataset))[batch_size * together.number() :][:batch_size]
            batch = self._prepare_inputs(self.data_collator([dataset[number] for number in numbers or [0]]))
            chosen, rejected = self.compute_ref_log_probs(self.ref_model or self.model, batch)
            found += list(zip(numbers, chosen.tolist(), rejected.tolist(), strict=False))
        _, chosen, rejected = zip(*sorted(together.gathered(found)), strict=True)
        return dataset.add_column("ref_chosen_logps", list(chosen)).add_column("ref_rejected_logps", list(rejected))

    def measure(self, model: Any, inputs: dict[str, torch.Tensor]) -> Sums:
        mask = inputs["completion_mask"]
        outputs = model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            labels=inputs["input_ids"].masked_fill(mask == 0, -100),
            use_cache=False,
            fused_lm_head=True,
        )
        chosen, rejected = outputs.log_probs.sum(dim=1).chunk(2)
        chosen = self.beta * (chosen - inputs["ref_chosen_logps"])
        rejected = self.beta * (rejected - inputs["ref_rejected_logps"])
        margins, preferred = chosen - rejected, mask[: len(chosen), 1:].bool()
        counted = preferred.any(dim=1)  # a pair that only fills a share says nothing
        pairs = counted.sum()
        return {
            "valid_loss": (-torch.nn.functional.logsigmoid(margins)[counted].sum(), pairs),
            "valid_mean_token_accuracy": ((outputs.is_top1[: len(chosen)] & preferred).sum(), preferred.sum()),
            "rewards_chosen": (chosen[counted].sum(), pairs),
            "rewards_rejected": (rejected[counted].sum(), pairs),
            "rewards_margins": (margins[counted].sum(), pairs),
            "rewards_accuracies": ((margins > 0)[counted].float().sum(), pairs),
        }

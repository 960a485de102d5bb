"""Batches as the model gets them: the share of one process, and several examples in one row."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trainer.job.rows.labels import NOT_LEARNT

Example = dict[str, Any]


@dataclass(frozen=True)
class Share:
    """Collates every `count`-th example of a batch, from the `number`-th on. A process for which there is none gets one
    of which nothing is learnt, so that all take the step together."""

    collate: Callable[[list[Example]], dict[str, Any]]
    number: int
    count: int

    def __call__(self, examples: list[Example]) -> dict[str, Any]:
        mine = examples[self.number :: self.count]
        if mine:
            return self.collate(mine)
        batch = self.collate(examples[:1])
        if "labels" in batch:
            batch["labels"].fill_(NOT_LEARNT)
        else:
            batch["completion_mask"].fill_(0)
        return batch

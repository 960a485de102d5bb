"""Several examples in one row, so that little is padded. An example's losses are those that it has in a row of its own.

Positions begin at 0 with each example; of them transformers makes a mask that keeps examples apart. A batch keeps its
examples, so steps and learning rates mean the same with packing and without.
"""

from dataclasses import dataclass
from typing import Any

from trainer.job.failures import Failed
from trainer.job.rows.labels import NOT_LEARNT

Example = dict[str, list[int]]


@dataclass(frozen=True)
class Packed:
    """Collates examples into rows no longer than the longest of them. `padding`: any token."""

    padding: int

    def __call__(self, examples: list[Example]) -> dict[str, Any]:
        import torch

        rows = packed(examples)
        longest = max(sum(map(_length, row)) for row in rows)
        columns: dict[str, list[list[int]]] = {"input_ids": [], "labels": [], "position_ids": []}
        for row in rows:
            rest = longest - sum(map(_length, row))
            tokens = [token for example in row for token in example["input_ids"]]
            # Nothing in its own example predicts the first token.
            labels = [label for example in row for label in [NOT_LEARNT, *example["labels"][1:]]]
            positions = [position for example in row for position in range(_length(example))]
            columns["input_ids"].append(tokens + [self.padding] * rest)
            columns["labels"].append(labels + [NOT_LEARNT] * rest)
            columns["position_ids"].append(positions + list(range(rest)))
        return {name: torch.tensor(values) for name, values in columns.items()}


def packed(examples: list[Example]) -> list[list[Example]]:
    """The longest first, each into the first row that has room for it."""
    rows: list[list[Example]] = []
    longest = max(map(_length, examples))
    for example in sorted(examples, key=_length, reverse=True):
        fitting = (row for row in rows if sum(map(_length, row)) + _length(example) <= longest)
        row = next(fitting, None)
        if row is None:
            rows.append(row := [])
        row.append(example)
    return rows


def refuse_a_model_that_mixes(model: Any, base_name: str) -> None:
    """Another neighbour in its row must not change an example's numbers, not in the last bit."""
    import torch

    was_training = model.training
    model.eval()
    length = 8
    positions = torch.arange(length).repeat(2)[None].to(model.device)
    with torch.no_grad():
        try:
            with_others = [
                model(
                    input_ids=torch.tensor([[neighbour] * length + list(range(length))], device=model.device),
                    position_ids=positions,
                    use_cache=False,
                ).logits[:, length:]
                for neighbour in (1, 2)
            ]
        except TypeError:  # positions are not for the caller to give
            with_others = []
    model.train(was_training)
    if not with_others or not torch.equal(*with_others):
        message = f"{base_name} lets examples in one row see each other. Leave packing out."
        raise Failed("invalid_value", message, "provider_options.packing")


def _length(example: Example) -> int:
    return len(example["input_ids"])

"""Generates the metrics of each training step: a falling loss with noise, the same for the same seed."""

import math
import random
from dataclasses import dataclass
from typing import Any

VALIDATION_INTERVAL = 10
"""Steps between two validations; the first step and the last one of each epoch validate too."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The metrics of every step, counted from 1. Losses are positive; accuracies and rewards lie between 0 and 1."""

    seed: int
    total_steps: int
    steps_per_epoch: int
    has_validation: bool

    def ends_epoch(self, step: int) -> bool:
        return step % self.steps_per_epoch == 0

    def supervised(self, step: int) -> dict[str, Any]:
        """`data` of a metrics event: `valid_*` on validation steps only, `full_valid_*` at the ends of epochs."""
        noise = self._random(step)
        loss = self._loss(step) * noise.uniform(0.88, 1.12)
        metrics = {"step": step, "total_steps": self.total_steps, **_pair("train_loss", "train", loss)}
        if self.has_validation and self._validates(step):
            metrics |= _pair("valid_loss", "valid", self._loss(step) * noise.uniform(1.02, 1.2))
        if self.has_validation and self.ends_epoch(step):
            metrics |= _pair("full_valid_loss", "full_valid", self._loss(step) * noise.uniform(1.05, 1.12))
        return metrics

    def reinforcement(self, step: int) -> dict[str, Any]:
        """`data` of a metrics event of the reinforcement method: rewards rise as losses would fall."""
        noise = self._random(step)
        reward = math.exp(-self._loss(step)) * noise.uniform(0.92, 1.0)
        metrics = {"step": step, "total_steps": self.total_steps, "train_mean_reward": round(reward, 4)}
        metrics |= {
            "reasoning_tokens_mean": round(noise.uniform(180, 260), 1),
            "completion_tokens_mean": round(noise.uniform(60, 90), 1),
            "mean_unresponsive_rewards": 0.0,
        }
        if self._validates(step):
            metrics |= {"full_valid_mean_reward": round(reward * 0.95, 4), "full_valid_mean_parse_error": 0.0}
        return metrics

    def _random(self, step: int) -> random.Random:
        # A generator per step, so that a step's numbers do not depend on which steps were generated before.
        return random.Random(self.seed * 1_000_003 + step)

    def _validates(self, step: int) -> bool:
        return step == 1 or step % VALIDATION_INTERVAL == 0 or self.ends_epoch(step)

    def _loss(self, step: int) -> float:
        noise = self._random(0)
        start, floor = noise.uniform(1.8, 2.8), noise.uniform(0.08, 0.35)
        return floor + (start - floor) * math.exp(-4.5 * step / self.total_steps)


def _pair(loss_name: str, prefix: str, loss: float) -> dict[str, float]:
    return {loss_name: round(loss, 5), f"{prefix}_mean_token_accuracy": round(math.exp(-0.45 * loss), 5)}

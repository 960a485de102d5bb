"""Draws a training's numbers: a curve that falls, with noise, and is the same for the same seed."""

import math
import random
from dataclasses import dataclass
from typing import Any

VALIDATION_INTERVAL = 10
"""A validation step at the first, at every tenth, and at the end of each epoch."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The numbers of every step, counted from 1. Losses are positive, accuracies and rewards between 0 and 1."""

    seed: int
    total_steps: int
    steps_per_epoch: int
    has_validation: bool

    def ends_epoch(self, step: int) -> bool:
        return step % self.steps_per_epoch == 0

    def supervised(self, step: int) -> dict[str, Any]:
        """`data` of a metrics event: `valid_*` on validation steps only, `full_valid_*` at the ends of epochs."""
        chance = self._chance(step)
        loss = self._loss(step) * chance.uniform(0.88, 1.12)
        metrics = {"step": step, "total_steps": self.total_steps, **_pair("train_loss", "train", loss)}
        if self.has_validation and self._validates(step):
            metrics |= _pair("valid_loss", "valid", self._loss(step) * chance.uniform(1.02, 1.2))
        if self.has_validation and self.ends_epoch(step):
            metrics |= _pair("full_valid_loss", "full_valid", self._loss(step) * chance.uniform(1.05, 1.12))
        return metrics

    def reinforcement(self, step: int) -> dict[str, Any]:
        """`data` of a metrics event for reinforcement: rewards rise as losses would fall."""
        chance = self._chance(step)
        reward = math.exp(-self._loss(step)) * chance.uniform(0.92, 1.0)
        metrics = {"step": step, "total_steps": self.total_steps, "train_mean_reward": round(reward, 4)}
        metrics |= {
            "reasoning_tokens_mean": round(chance.uniform(180, 260), 1),
            "completion_tokens_mean": round(chance.uniform(60, 90), 1),
            "mean_unresponsive_rewards": 0.0,
        }
        if self._validates(step):
            metrics |= {"full_valid_mean_reward": round(reward * 0.95, 4), "full_valid_mean_parse_error": 0.0}
        return metrics

    def _chance(self, step: int) -> random.Random:
        return random.Random(self.seed * 1_000_003 + step)  # each step by itself, whatever was drawn before

    def _validates(self, step: int) -> bool:
        return step == 1 or step % VALIDATION_INTERVAL == 0 or self.ends_epoch(step)

    def _loss(self, step: int) -> float:
        chance = self._chance(0)
        start, floor = chance.uniform(1.8, 2.8), chance.uniform(0.08, 0.35)
        return floor + (start - floor) * math.exp(-4.5 * step / self.total_steps)


def _pair(loss_name: str, prefix: str, loss: float) -> dict[str, float]:
    return {loss_name: round(loss, 5), f"{prefix}_mean_token_accuracy": round(math.exp(-0.45 * loss), 5)}

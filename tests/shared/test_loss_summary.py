"""What a job keeps of its metrics for lists: a few points of its curve, and its lowest validation losses."""

import itertools
from typing import Any

from shared.jobs import metrics
from shared.jobs.models import Job


def noted(*batches: list[dict[str, Any]]) -> Job:
    nothing: dict[str, Any] = {"loss_summary": {}}
    job = Job(**nothing)
    for batch in batches:
        metrics.note(job, batch)
    return job


def steps(first: int, last: int) -> list[dict[str, Any]]:
    return [{"step": step, "train_loss": 1000.0 - step} for step in range(first, last + 1)]


def test_a_long_curve_is_a_few_points_with_its_first_and_its_last() -> None:
    for batches in ([steps(1, 5000)], [steps(first, first + 9) for first in range(1, 5000, 10)]):
        curve = noted(*batches).loss_summary["train_loss"]
        assert (curve[0], curve[-1]) == ((1, 999.0), (5000, -4000.0))
        assert 20 <= len(curve) <= metrics.CURVE_POINTS + 1
        gaps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(curve)]
        assert max(gaps) <= 3 * 5000 / metrics.CURVE_POINTS


def test_metrics_that_come_twice_change_nothing() -> None:
    once, twice = noted(steps(1, 100)), noted(steps(1, 100), steps(50, 100))
    assert once.loss_summary == twice.loss_summary


def test_the_best_loss_is_the_lowest_on_the_whole_file_once_there_is_one() -> None:
    parts = [{"step": 1, "valid_loss": 2.0}, {"step": 2, "valid_loss": 0.5}, {"step": 3, "valid_loss": 1.0}]
    job = noted(parts)
    assert metrics.best_valid_loss(job) == 0.5
    metrics.note(job, [{"step": 4, "full_valid_loss": 1.5}])
    metrics.note(job, [{"step": 5, "full_valid_loss": 0.9}, {"step": 6, "full_valid_loss": 1.1, "valid_loss": 0.1}])
    assert metrics.best_valid_loss(job) == 0.9


def test_odd_numbers_of_a_provider_are_passed_over() -> None:
    odd: list[dict[str, Any]] = [{"step": "many", "train_loss": 1}, {"train_loss": 1}]
    odd += [{"step": 2, "train_loss": "NaN", "valid_loss": [1]}]
    job = noted(odd, [{"step": 0, "train_loss": 3.0}, {"step": 10**30, "train_loss": 1.0}])
    assert job.loss_summary["train_loss"] == [(0, 3.0), (10**30, 1.0)]
    assert metrics.best_valid_loss(job) is None

"""The options of the job's chart, which ECharts draws."""

from api.dashboard.charts import curves
from shared.jobs.metrics import JobMetrics, MetricsPoint


def metrics(*losses: float) -> JobMetrics:
    points = [MetricsPoint.of({"step": step, "train_loss": loss}) for step, loss in enumerate(losses, start=1)]
    return JobMetrics(job_id="ftjob-1", points=points, total_points=len(points))


def test_without_metrics_the_chart_says_so() -> None:
    options = curves(metrics(), [], is_log=False, smoothing=0)
    assert "series" not in options
    assert "No metrics yet" in options["title"]["text"]


def test_a_curve_has_its_steps_and_the_checkpoints() -> None:
    options = curves(metrics(2.0, 1.0), [2], is_log=True, smoothing=0)
    [loss] = options["series"]
    assert loss["data"] == [[1, 2.0], [2, 1.0]]
    assert loss["markLine"]["data"] == [{"xAxis": 2}]
    assert [axis["type"] for axis in options["yAxis"]] == ["log"]


def test_smoothing_is_a_mean_that_does_not_begin_at_zero() -> None:
    [loss] = curves(metrics(1.0, 1.0, 1.0), [], is_log=False, smoothing=0.9)["series"]
    assert [value for _, value in loss["data"]] == [1.0, 1.0, 1.0]

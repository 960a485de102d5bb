"""The alerts of deploy/prometheus/rules.yml: each fires by its fault alone, and has a runbook."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.monitoring.prometheus import NEEDS_PROMETHEUS, ROOT, RULES

TEXT = RULES.read_text()
ALERTS = re.findall(r"alert: (\w+)", TEXT)
HEALTHY = {  # values as promtool writes them: from a start, by a step, for so many minutes
    'tunery_info{process="beat"}': "1x480",
    'tunery_info{process="api"}': "1x480",
    'tunery_info{process="worker"}': "1x480",
    'tunery_info{process="sender"}': "1x480",
    "tunery_sweep_age_seconds": "3x480",
    'tunery_up{dependency="redis"}': "1x480",
    'tunery_due_seconds{table="jobs"}': "1x480",
    'tunery_tried_rows{table="jobs"}': "0x480",
    'tunery_queue_messages{queue="celery"}': "5x480",
    'tunery_queue_messages{queue="deliveries"}': "5x480",
    'tunery_open_job_seconds{status="validating_files"}': "60x480",
    'tunery_accounts{account="deployment",state="ok"}': "1x480",
    'tunery_accounts{account="deployment",state="failing"}': "0x480",
    'tunery_requests_total{status="200"}': "0+600x480",
    'tunery_requests_total{status="500"}': "0+1x480",
    'tunery_step_seconds_count{table="jobs",outcome="done"}': "0+60x480",
    'tunery_provider_call_seconds_count{account="deployment",dialect="openai",status="ok"}': "0+60x480",
    'tunery_provider_call_seconds_count{account="deployment",dialect="openai",status="503"}': "0+1x480",
    'tunery_delivery_seconds_count{status="200"}': "0+60x480",
    'tunery_delivery_seconds_count{status="500"}': "0+1x480",
    'tunery_checked_bytes_total{pass="structure"}': "0+60000000x480",
    'tunery_check_seconds_sum{pass="structure",valid="true"}': "0+1x480",
    'tunery_budgets{state="ok"}': "3x480",
    'tunery_model_retires_seconds{model="gpt"}': "5184000x480",
    'tunery_storage_bytes{state="free"}': "50x480",
    'tunery_storage_bytes{state="total"}': "100x480",
    'tunery_table_bytes{table="jobs"}': "1000000000+1000x480",
}
CALLS = 'tunery_provider_call_seconds_count{account="deployment",dialect="openai",status='
GONE = "_x480"
FAULTS: dict[str, dict[str, str]] = {
    "TuneryDueRowsWait": {'tunery_due_seconds{table="jobs"}': "0+60x480"},
    "TuneryBeatSilent": {'tunery_info{process="beat"}': GONE},
    "TuneryApiSilent": {'tunery_info{process="api"}': GONE},
    "TuneryQueueWithoutWorker": {'tunery_info{process="worker"}': GONE},
    "TuneryDeliveriesWithoutSender": {'tunery_info{process="sender"}': GONE},
    "TuneryDependencyDown": {'tunery_up{dependency="redis"}': "0x480"},
    "TuneryRequestsFail": {'tunery_requests_total{status="500"}': "0+100x480"},
    "TuneryStepsFail": {'tunery_step_seconds_count{table="jobs",outcome="failed"}': "0x173 1 3 6 _x240"},
    "TuneryRowsStuck": {'tunery_tried_rows{table="jobs"}': "0x176 1x4 0x240"},  # one row, until it is given up
    "TuneryJobsNotPrepared": {'tunery_open_job_seconds{status="validating_files"}': "0+60x480"},
    "TuneryAccountFails": {'tunery_accounts{account="deployment",state="failing"}': "1x480"},
    "TuneryProviderCallsFail": {f'{CALLS}"401"}}': "0+600x480"},
    "TuneryAccountBacksOff": {'tunery_accounts{account="deployment",state="backed off"}': "1x4 _ " * 96},
    "TuneryDeliveriesFail": {'tunery_delivery_seconds_count{status="no answer"}': "0+600x480"},
    "TuneryChecksSlow": {'tunery_check_seconds_sum{pass="structure",valid="true"}': "0+600x480"},
    "TuneryBudgetNearEnd": {'tunery_budgets{state="near"}': "1x480"},
    "TuneryModelRetires": {'tunery_model_retires_seconds{model="gpt"}': "864000x480"},
    "TuneryStorageFull": {'tunery_storage_bytes{state="free"}': "9x480"},
    "TuneryTableGrows": {'tunery_table_bytes{table="jobs"}': "1000000000+1000000x480"},
}


def firing(folder: Path, series: dict[str, str], expected: list[str]) -> subprocess.CompletedProcess[str]:
    """Let promtool say whether these alerts fire in the end, and no others."""
    samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in expected]
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                        "eval_time": "7h" if "TuneryTableGrows" in expected else "3h",
                        "exp_samples": samples,
                    }
                ],
            }
        ],
    }
    file = folder / "test.yml"
    file.write_text(json.dumps(test))  # JSON is YAML
    return subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)


@NEEDS_PROMETHEUS
def test_without_a_fault_no_alert_fires(tmp_path: Path) -> None:
    run = firing(tmp_path, HEALTHY, [])
    assert run.returncode == 0, run.stdout + run.stderr


@NEEDS_PROMETHEUS
@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_fires_by_its_fault_alone(tmp_path: Path, alert: str) -> None:
    run = firing(tmp_path, HEALTHY | FAULTS[alert], [alert])
    assert run.returncode == 0, run.stdout + run.stderr


def test_each_alert_has_a_runbook_that_says_what_it_means_what_to_look_at_and_what_to_do() -> None:
    page = (ROOT / "docs" / "runbooks.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert sorted(sections) == sorted(ALERTS)
    for alert in ALERTS:
        assert all(f"**{word}.**" in sections[alert] for word in ("Means", "Look at", "Do")), alert
        assert f"docs/runbooks.md#{alert.lower()}" in TEXT


def test_rules_and_board_use_metrics_that_exist() -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text()
    known = set(re.findall(r"^\| `(tunery_\w+)`", page, re.MULTILINE))
    for text in (TEXT, (ROOT / "deploy" / "grafana" / "tunery.json").read_text()):
        used = set(re.findall(r"\btunery_\w+", text))
        assert used
        assert {re.sub("_(bucket|sum|count)$", "", name) for name in used} - known == set()

"""What comes late at Together: metrics after events of later steps, uploads after their address has expired."""

import json

import pytest

from shared.datasets.models import Dataset, ProviderFile, ProviderFileStatus
from shared.jobs.models import Job
from tests.worker.support import ids, settings
from tests.worker.test_together import epochs, server_of_together, together
from tests.worker.together import JOBS, MODEL, switch
from tests.world import Person, Sandbox, row, step, work_until_created

__all__ = ["server_of_together", "together"]


def test_metrics_that_come_late_are_recorded_while_the_job_runs_and_old_ones_are_no_news(
    alice: Person, together: Sandbox
) -> None:
    job_id = alice.create_job(model=MODEL, method=epochs(3))
    theirs = work_until_created(job_id)
    together.move(theirs, step=20)
    path = f"{JOBS}/{theirs}/metrics"
    shown = together.http.get(path).raise_for_status().json()["metrics"]
    late = json.dumps({"metrics": shown[:3]})
    together.arm("GET", path, status=200, body=late, headers={"content-type": "application/json"})
    recorded, changed = [], []
    for _ in range(3):
        step(Job, job_id)
        job = row(Job, job_id)
        changed.append(job.changed_at)
        points = alice.http.get(f"/fine_tuning/jobs/{job_id}/metrics").raise_for_status().json()["total_points"]
        recorded.append((points, job.step))
    assert recorded[0][0] == 3
    assert recorded[1] == recorded[2] == (len(shown), 20)
    assert changed[0] < changed[1] == changed[2]


@pytest.mark.parametrize(("refused", "status"), [(1, ProviderFileStatus.UPLOADED), (9, ProviderFileStatus.FAILED)])
def test_an_upload_whose_address_is_refused_begins_again_and_not_for_ever(
    alice: Person, together: Sandbox, refused: int, status: ProviderFileStatus
) -> None:
    job_id = alice.create_job(model=MODEL)
    step(Dataset, row(Job, job_id).training_file)
    step(Job, job_id)
    [file_id] = ids(ProviderFile)
    with settings(TUNERY_MAX_STEP_FAILURES="3", TUNERY_PROVIDER__DIALECT="together"):
        for attempt in range(5):
            switch(together, storage_status=403 if attempt < refused else 200)
            step(ProviderFile, file_id)
    file = row(ProviderFile, file_id)
    assert (file.status, file.error_code) == (status, "signed_address_refused" if refused > 1 else None)

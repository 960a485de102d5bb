"""Metrics that several processes share: what one of them leaves to the next one at its place."""

import os
from pathlib import Path

from tests.shared.process import python

CODE = f"""
from shared.metrics import exposition
from shared.metrics.instruments import POOL_CONNECTIONS, SWEEP_SECONDS
exposition.share({os.getpid()}, "{os.getpid()}")
POOL_CONNECTIONS.labels("in_use").inc()
SWEEP_SECONDS.labels("done").observe(1)
print(exposition.text().decode())
"""


def test_a_process_that_starts_again_goes_on_counting_and_has_no_connection_of_before(tmp_path: Path) -> None:
    """As in a container that is started again, where processes have the same numbers, and the folder is still there."""
    for counted in (1, 2):
        done = python(CODE, TMPDIR=str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert 'tunery_pool_connections{state="in_use"} 1.0' in done.stdout
        assert f'tunery_sweep_seconds_count{{outcome="done"}} {counted}.0' in done.stdout

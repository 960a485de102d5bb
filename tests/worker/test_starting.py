"""What a worker does once, before it has its children."""

import gc

from worker import app


def test_a_worker_that_has_started_looks_for_garbage_again(clean: str) -> None:
    gc.disable()
    try:
        app._prepare_for_children()
        assert gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()

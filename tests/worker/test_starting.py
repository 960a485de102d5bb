"""What a worker does once, before it has its children."""

import gc


def test_a_worker_that_has_started_looks_for_garbage_again(clean: str) -> None:
    from worker import process  # which reads the settings that `clean` has made

    gc.disable()
    try:
        process._prepare_for_children()
        assert gc.isenabled()
    finally:
        gc.enable()
        gc.unfreeze()

"""A pytest plugin that measures which lines a pytest process runs: `-p cli.dev.coverage_plugin`.

`coverage run` would measure the servers that tests start as processes too, and slow them down so much that tests which
race against a server's clock fail on a busy machine. Tests call the api and the worker's steps in their own process.
"""

import coverage

# Loaded before any conftest.py, so that the lines which run while a module is imported count too.
_measurement = coverage.Coverage(data_suffix=True)
_measurement.start()


def pytest_unconfigure() -> None:
    """Runs at the end of every process of pytest-xdist."""
    _measurement.stop()
    _measurement.save()

"""The check of training data: everything that is wrong with a file, what is in it, and how many tokens it has."""

from shared.datasets.validation.checking import DEFAULT_ENCODING, check
from shared.datasets.validation.codes import Problem, Severity
from shared.datasets.validation.overlapping import Overlap, overlap
from shared.datasets.validation.report import Report

__all__ = ["DEFAULT_ENCODING", "Overlap", "Problem", "Report", "Severity", "check", "overlap"]

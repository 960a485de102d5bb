"""The moves from status to status that there are, each with what makes it; docs/jobs.md draws them."""

from shared.jobs.models import JobRequest, JobStatus
from shared.webhooks.event_types import EventType

_V, _Q, _R, _P = JobStatus.VALIDATING_FILES, JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.PAUSED
_S, _F, _C = JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED

MOVES: dict[tuple[JobStatus, JobStatus], str] = {
    (_V, _Q): "an approval or a place is awaited, or the provider has checked the files",
    (_V, _R): "seen training",
    (_V, _P): "seen paused",
    (_V, _S): "seen trained",
    (_V, _F): "bad file, refused, or given up",
    (_V, _C): "cancel",
    (_Q, _R): "the provider trains it",
    (_Q, _P): "pause",
    (_Q, _S): "seen trained",
    (_Q, _F): "refused, or given up",
    (_Q, _C): "cancel, or not approved",
    (_R, _Q): "the provider put it back",
    (_R, _P): "pause",
    (_R, _S): "trained",
    (_R, _F): "the provider's word, or given up",
    (_R, _C): "cancel",
    (_P, _Q): "resume, to wait for a place",
    (_P, _R): "resume, to go on",
    (_P, _S): "seen trained",
    (_P, _F): "the provider's word, or given up",
    (_P, _C): "cancel, or not approved",
}

ASKABLE = {
    JobRequest.CANCEL: {_V, _Q, _R, _P},
    JobRequest.PAUSE: {_Q, _R},
    JobRequest.RESUME: {_P},
}

TOLD = {
    _Q: EventType.JOB_QUEUED,
    _R: EventType.JOB_RUNNING,
    _P: EventType.JOB_PAUSED,
    _S: EventType.JOB_SUCCEEDED,
    _F: EventType.JOB_FAILED,
    _C: EventType.JOB_CANCELLED,
}

"""Which status follows which, and which action of a step; docs/jobs.md and docs/how-jobs-work.md draw the two."""

from shared.jobs.models import Job, JobRequest, JobStatus, NextAction
from shared.webhooks.event_types import EventType

_V, _Q, _R, _P = JobStatus.VALIDATING_FILES, JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.PAUSED
_S, _F, _C = JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED

MOVES: dict[tuple[JobStatus, JobStatus], str] = {
    (_V, _Q): "an approval or a slot is awaited, or the provider has checked the files",
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
    (_P, _Q): "resume, to wait for a slot",
    (_P, _R): "resume, to go on",
    (_P, _S): "seen trained",
    (_P, _F): "the provider's word, or given up",
    (_P, _C): "cancel, or not approved",
}

PERMITTED_WHEN = {
    JobRequest.CANCEL: {_V, _Q, _R, _P},
    JobRequest.PAUSE: {_Q, _R},
    JobRequest.RESUME: {_P},
}

EVENT_ON_ENTERING = {
    _Q: EventType.JOB_QUEUED,
    _R: EventType.JOB_RUNNING,
    _P: EventType.JOB_PAUSED,
    _S: EventType.JOB_SUCCEEDED,
    _F: EventType.JOB_FAILED,
    _C: EventType.JOB_CANCELLED,
}

_PREPARE, _FIND, _REQUEST, _POLL = NextAction.PREPARE, NextAction.FIND, NextAction.REQUEST, NextAction.POLL

# None: nothing is left to do. An action also follows itself, until something else is true.
NEXT_ACTIONS: dict[tuple[NextAction | None, NextAction | None], str] = {
    (_PREPARE, _FIND): "the create is about to be sent, or reconciliation has found the job",
    (_PREPARE, None): "the job ends before it is created",
    (_FIND, _PREPARE): "the provider does not have the job",
    (_FIND, _POLL): "created, or found",
    (_FIND, _REQUEST): "created, or found, and a request is waiting",
    (_FIND, None): "given up, or no search is answered for a day",
    (_POLL, _REQUEST): "a request is made, or tried again",
    (_POLL, None): "the job has ended",
    (_REQUEST, _POLL): "passed on, refused, or not answered",
    (_REQUEST, None): "the job has ended, or no attempt is answered for a day",
    (None, _FIND): "given up while it may be at the provider, to be cancelled there",
    (None, _REQUEST): "given up while it is at the provider, to be cancelled there",
}


def set_next_action(job: Job, action: NextAction | None) -> None:
    """Raises `ValueError` for an action that cannot follow the present one."""
    if action is not job.next_action and (job.next_action, action) not in NEXT_ACTIONS:
        raise ValueError(f"{action} cannot follow {job.next_action}")
    job.next_action = action

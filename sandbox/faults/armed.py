"""Faults that a test arms: which calls they hit, what goes wrong, and whether the call still takes effect."""

import re
from collections.abc import Mapping, MutableMapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sandbox.faults.refusals import JOB_ERRORS, REFUSALS
from wire_server.records import JobError, new_id

JOB_ERROR_KEY = "sandbox.job_error"
"""The key of the ASGI scope with the error that the new job must fail with."""

Seconds = Annotated[float, Field(ge=0, le=3600)]
Moment = Literal["before", "after"]


class ArmedJobError(BaseModel):
    """The `error` that a job will fail with."""

    model_config = ConfigDict(extra="forbid")

    code: str
    message: str
    param: str | None = None

    def record(self) -> JobError:
        return JobError(code=self.code, message=self.message, param=self.param)


class Fault(BaseModel):
    """One kind of failure of the calls that match `method` and `path`.

    - `method`, `path`: which calls. In a path `*` and `{anything}` stand for one segment, `**` for any rest.
    - `skip`: how many such calls pass unharmed first. `times`: how many are then hit.
    - `delay`, `delay_after`: seconds before the work, and between the work and the answer. Go with everything below.
    - `drop`: the TCP connection is closed without an answer, before or after the work.
    - `status` with `body` and `headers`: this answer; `refusal`: one of the known answers by name. Both come instead of
      the work, or with `"after_effect": true` after it was done.
    - `body` without `status`: an object laid over the top level of the real answer's JSON.
    - `job_error`: the create call succeeds, and its job fails after `validating_files`, with this error or one by name.
    """

    model_config = ConfigDict(extra="forbid")

    id: str = Field(default_factory=lambda: new_id("fault_", 8))
    method: str = "*"
    path: str
    skip: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=1)] = 1
    delay: Seconds = 0
    delay_after: Seconds = 0
    drop: Moment | None = None
    status: Annotated[int | None, Field(ge=200, le=599)] = None
    refusal: str | None = None
    after_effect: bool = False
    body: Any = None
    headers: dict[str, str] = {}
    job_error: ArmedJobError | str | None = None

    @field_validator("refusal")
    @classmethod
    def _is_known(cls, name: str | None) -> str | None:
        if name is not None and name not in REFUSALS:
            raise ValueError(f"must be one of {sorted(REFUSALS)}")
        return name

    @field_validator("job_error")
    @classmethod
    def _is_known_end(cls, error: ArmedJobError | str | None) -> ArmedJobError | str | None:
        if isinstance(error, str) and error not in JOB_ERRORS:
            raise ValueError(f"must be an object, or one of {sorted(JOB_ERRORS)}")
        return error

    @model_validator(mode="after")
    def _does_something(self) -> "Fault":
        if not (self.delay or self.delay_after or self.drop or self.answers or self.job_error or self.patch):
            raise ValueError("a fault needs one of delay, delay_after, drop, status, refusal, body and job_error")
        return self

    @property
    def answers(self) -> bool:
        """Whether the fault replaces the whole answer."""
        return self.status is not None or self.refusal is not None

    @property
    def takes_effect(self) -> bool:
        """Whether the call has its effect."""
        return self.drop == "after" or (self.drop is None and (self.after_effect or not self.answers))

    @property
    def patch(self) -> dict[str, Any] | None:
        """The keys that replace those of the real answer."""
        return self.body if isinstance(self.body, dict) and not self.answers else None

    def answer(self) -> tuple[int, Any, Mapping[str, str]]:
        """The fault's own status, body and headers."""
        if self.refusal:
            known = REFUSALS[self.refusal]
            return self.status or known.status, known.body(), known.headers | self.headers
        assert self.status is not None
        default = {"message": "Armed by a test.", "type": "server_error", "param": None, "code": None}
        return self.status, {"error": default} if self.body is None else self.body, self.headers

    def matches(self, method: str, path: str) -> bool:
        return self.method.upper() in ("*", method) and _pattern(self.path).fullmatch(path) is not None

    def arm(self, scope: MutableMapping[str, Any]) -> None:
        if self.job_error:
            scope[JOB_ERROR_KEY] = (
                JOB_ERRORS[self.job_error] if isinstance(self.job_error, str) else self.job_error.record()
            )


def take(faults: list[Fault], method: str, path: str) -> Fault | None:
    """The first armed fault that matches this call, if any; counts the call, and removes a fault after its last one."""
    for fault in [fault for fault in faults if fault.matches(method, path)]:
        if fault.skip:
            fault.skip -= 1
            continue
        fault.times -= 1
        if not fault.times:
            faults.remove(fault)
        return fault
    return None


def armed_job_error(scope: Mapping[str, Any]) -> JobError | None:
    """The error that the job of this request fails with, if a fault sets one."""
    error = scope.get(JOB_ERROR_KEY)
    return error if isinstance(error, JobError) else None


def _pattern(path: str) -> re.Pattern[str]:
    glob = re.sub(r"\{[^/]*\}", "*", path)
    return re.compile(re.escape(glob).replace(r"\*\*", ".*").replace(r"\*", "[^/]*"))

"""Why a job ends without a model: a code, a sentence for the caller, and how memory that ran out is recognised."""

import errno
import math
import resource

OUT_OF_MEMORY = 3
"""The exit code of a process that has no memory, of a job or of one that answers chats."""


class Failed(Exception):
    """Ends the job; becomes its line `failed`. `param` names the field of the request that is to blame."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param


class OutOfMemory(Failed):
    def __init__(self, message: str) -> None:
        super().__init__("out_of_memory", message)


def refuse_what_went_astray(step: int, learning_rate: float, *values: float) -> None:
    """Numbers that are not finite never come back; as JSON they could not even be told."""
    if not all(map(math.isfinite, values)):
        raise Failed(
            "training_failed",
            f"The loss is not a finite number after step {step}: training went astray. Lower the learning rate "
            f"({learning_rate:g} now), or look for broken examples.",
            "learning_rate",
        )


# Torch raises plain RuntimeErrors where the host's allocator fails, other libraries errors of their own.
_WORDS = ("out of memory", "not enough memory", "allocate memory", "bad_alloc")


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    if "can't start new thread" in str(error):  # no memory for its stack, or a limit of the number of processes
        return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY
    return any(words in str(error).lower() for words in _WORDS)

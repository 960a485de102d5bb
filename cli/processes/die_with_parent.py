"""Runs a command that the kernel ends when its parent dies (Linux only), without root rights if another user is named.

A wrapper rather than Popen's `preexec_fn`: that one runs Python between fork and exec, which may hang when the parent
has threads. It needs nothing but the standard library, so `python -I -S` starts it in 15 ms.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """`die_with_parent.py PARENT SIGNAL UID GID COMMAND…`: the command receives the signal when the parent dies."""
    parent, farewell, uid, gid = map(int, sys.argv[1:5])
    command = sys.argv[5:]
    if uid != os.getuid():
        step_down(uid, gid)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, farewell)
        if os.getppid() != parent:  # it died before we were tied to it
            sys.exit(0)
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these, and what is ignored is inherited
        signal.signal(ignored, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # and so is what our parent has put off
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} cannot be run: {error.strerror}.")


def step_down(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


if __name__ == "__main__":
    main()

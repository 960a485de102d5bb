"""Uvicorn's own command, ready sooner: `python -m api --factory api.main:create_app …`."""

import gc
import sys

from uvicorn import main
from uvicorn.supervisors import Multiprocess

# Until all is loaded, of which nothing is garbage; `api.main` enables it. Each of several processes imports this.
gc.disable()


class _Parent(Multiprocess):
    """Leaves the port before its children stop. Uvicorn's own keeps it to the end, so that connections were taken which
    nobody answered, and a proxy did not ask another api."""

    def terminate_all(self) -> None:
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


if __name__ == "__main__":
    vars(sys.modules["uvicorn.main"])["Multiprocess"] = _Parent
    main()

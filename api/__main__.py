"""Uvicorn's own command, ready sooner: `python -m api --factory api.main:create_app …`."""

import gc

from uvicorn import main

# Until all is loaded, of which nothing is garbage; `api.main` enables it. Each of several processes imports this.
gc.disable()

if __name__ == "__main__":
    main()

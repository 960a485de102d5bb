"""`python -m trainer` runs the server; `python -m trainer base …` adds, lists and removes bases."""

import sys

from trainer.bases import Refused
from trainer.environment import NotSetUp


def main() -> None:
    try:
        if sys.argv[1:2] == ["base"]:
            from trainer.bases.commands import app

            app(sys.argv[2:], prog_name="trainer base")
        else:
            from trainer.server.main import run

            run(sys.argv[1:])
    except (NotSetUp, Refused) as reason:
        sys.exit(str(reason))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()

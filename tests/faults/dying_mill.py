"""A mill that is killed at one point of one stage: `--die=STAGE:POINT`, with made, kept or delivered for the point."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from gristmill.cli.main import main
from gristmill.mill import stage

AFTER = {"made": "_output_id", "kept": "_deliver", "delivered": "_move_on"}
"""Point -> the step of `gristmill.mill.stage` that comes next. What is not kept is sent by `_send` at once."""


def die_before(step: str, name: str) -> None:
    go_on = getattr(stage, step)

    def dying(job: Any, *rest: Any) -> Any:
        if job.stage.name == name and (step != "_output_id" or job.claim.made is not None):
            os.kill(os.getpid(), signal.SIGKILL)
        return go_on(job, *rest)

    setattr(stage, step, dying)


if __name__ == "__main__":
    (dying,) = (argument for argument in sys.argv if argument.startswith("--die="))
    name, point = dying.removeprefix("--die=").split(":")
    die_before("_send" if (name, point) == ("SETUP_PHASE", "kept") else AFTER[point], name)
    sys.exit(main([argument for argument in sys.argv[1:] if argument != dying]))

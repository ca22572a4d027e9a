"""Inspections that take their outcome from the name of the file: for worker processes, and as a program of its own."""

import hashlib
import os
import re
import signal
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

import batch
from errors import OutputError
from records import FAIL, LOCALIZATION_FAILED, PASS, UNGRADED, UNREADABLE, Inspection, InspectionRecord

STATUS_BY_PREFIX = {
    "pass": PASS,
    "slow": PASS,
    "fail": FAIL,
    "ungraded": UNGRADED,
    "lost": LOCALIZATION_FAILED,
    "bad": UNREADABLE,
}
REAL = batch.inspect_and_write


def inspect_by_name(data, path, settings, *, name):
    """The status that the name starts with."""
    status = STATUS_BY_PREFIX[re.search("[a-z]+", path.name)[0]]
    digest = hashlib.sha256(data).hexdigest()
    record = InspectionRecord(image_filename=name, image_path=str(path), status=status, content_sha256=digest)
    return Inspection(record)


def inspect_and_write(job, task):
    """In place of ``batch.inspect_and_write``: the start of the name may also be a misfortune."""
    misfortune = re.match("kill|sleep|full|slow|", task.image.name)[0]
    if misfortune == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if misfortune == "sleep":
        time.sleep(60)
    if misfortune == "full":
        raise OutputError("Cannot write a.png: No space left on device.", "Make room.")
    if misfortune == "slow":
        time.sleep(0.15)
    batch.inspect_bytes = inspect_by_name
    return REAL(job, task)


if __name__ == "__main__":
    import fake_inspections  # workers find the function under this name

    import main

    batch.inspect_and_write = fake_inspections.inspect_and_write
    sys.exit(main.main())

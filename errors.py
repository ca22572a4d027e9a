"""What can go wrong, as types: every expected failure carries its exit code and the way out of it.

The exit codes are public; ``describe`` is the one place where an exception becomes a sentence and a code.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of ``python main.py``."""

    OK = 0  # every image inspected, every verdict PASS
    NOT_ALL_PASSED = 1  # every image inspected, at least one FAIL or UNGRADED
    INVALID_INPUT = 2  # usage, config.json or calibration.json invalid: nothing was written
    IMAGES_FAILED = 3  # at least one image could not be inspected
    NO_IMAGES = 4  # INPUT holds no image
    MISSING_DEPENDENCY = 5  # an optional dependency or the camera is missing
    OUTPUT_UNUSABLE = 6  # OUTPUT cannot be written, or holds other results
    INTERRUPTED = 130  # Ctrl-C; what was finished is complete


class BlinkError(Exception):
    """An expected failure. ``message`` says what is wrong, ``remedy`` what to do about it; both are sentences."""

    exit_code = ExitCode.INVALID_INPUT

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class UsageError(BlinkError):
    """The command line asks for something impossible."""


class CalibrationError(BlinkError):
    """calibration.json is missing, broken or holds an impossible scale."""


class ConfigError(BlinkError):
    """config.json is invalid. ``problems`` lists every fault, one line each, with its JSON path."""

    def __init__(self, message: str, problems: Sequence[str] = (), remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = [super().__str__(), *(f"  - {problem}" for problem in self.problems)]
        return "\n".join(lines)


class UnreadableImage(BlinkError):  # noqa: N818
    """The file holds no image that can be decoded completely."""

    exit_code = ExitCode.IMAGES_FAILED


class NoImagesError(BlinkError):
    """No input names an image."""

    exit_code = ExitCode.NO_IMAGES


class TruthError(BlinkError):
    """The ground truth of an image is missing or cannot be used."""


class DataSetError(BlinkError):
    """The images or labels that a network should learn from cannot be used, or what an earlier training has left."""


class MissingDependency(BlinkError):  # noqa: N818
    """A library or a device is not there, or not the right one."""

    exit_code = ExitCode.MISSING_DEPENDENCY


class CameraError(BlinkError):
    """No camera, not the right one, or one that fails."""

    exit_code = ExitCode.MISSING_DEPENDENCY


class OutputError(BlinkError):
    """The output cannot be written, or belongs to another run."""

    exit_code = ExitCode.OUTPUT_UNUSABLE


def cannot_write(path: object, error: OSError) -> OutputError:
    """The failure to write a file or folder; its remedy names no option, as the programs have different ones."""
    remedy = "Check free space and permissions, or choose another folder."
    return OutputError(f"Cannot write {path}: {error.strerror or error}.", remedy)


class WorkersFailed(BlinkError):  # noqa: N818
    """The processes that should inspect the images cannot be started."""

    exit_code = ExitCode.IMAGES_FAILED


class InputStalled(BlinkError):  # noqa: N818
    """The place that holds the images has stopped answering."""

    exit_code = ExitCode.IMAGES_FAILED


def describe(error: BaseException) -> tuple[str, ExitCode]:
    """Translate an exception into what is printed and the exit code of the process."""
    if isinstance(error, BlinkError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "Interrupted.", ExitCode.INTERRUPTED
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        return f"Cannot read or write{where}: {error.strerror or error}.", ExitCode.OUTPUT_UNUSABLE
    return (
        f"Internal error ({type(error).__name__}: {error}). Please report it with the log file.",
        ExitCode.IMAGES_FAILED,
    )


def refuse_to_start(program: str, error: BaseException) -> int:
    """Say on stderr why the imports of a program did not succeed; returns its exit code."""
    if isinstance(error, ImportError):
        # OpenCV's wheel needs two libraries of the system, which a bare Linux does not have
        of_system = "shared object" in str(error)
        remedy = (
            "Install it with the system's package manager; on Debian and Ubuntu: apt-get install libgl1 libglib2.0-0"
            if of_system
            else "Run: pip install -r requirements.txt"
        )
        error = MissingDependency(f"A library is missing or broken ({error}).", remedy)
    sentence, code = describe(error)
    print(f"{program}: {sentence}", file=sys.stderr)
    return int(code)

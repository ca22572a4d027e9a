"""Large files, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from errors import OutputError


def replace_file(path: Path, write: Callable[[str], object]) -> None:
    """Let ``write`` make a file under a temporary name, then give it its own; raises :class:`OutputError`."""
    partial = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        write(os.fspath(partial))
        os.replace(partial, path)
    except (OSError, SafetensorError, RuntimeError, UnicodeError) as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise OutputError(
            f"Cannot write {path}: {getattr(error, 'strerror', None) or str(error) or type(error).__name__}.",
            "Check free space and permissions, or choose another --out.",
        ) from error

"""What the vision-language model needs besides the core. Nothing here loads a library."""

from __future__ import annotations

import importlib.util
import os

from errors import MissingDependency

LIBRARIES = ("torch", "transformers", "peft", "accelerate")


def check_libraries() -> None:
    """Raise :class:`MissingDependency` where a library is not installed; keep the others off the network."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependency(
            f"The vision-language model needs {', '.join(missing)}, not installed here.",
            "Run: pip install -r requirements-vlm.txt",
        )


def has_bitsandbytes() -> bool:
    """Whether the library for weights of 4 bits is installed."""
    return importlib.util.find_spec("bitsandbytes") is not None

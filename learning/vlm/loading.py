"""A vision-language model for inspections: loaded once per process, and the one that the settings mean."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from errors import ModelError
from learning.vlm.libraries import check_libraries
from learning.vlm.model_folder import ModelFolder, identify

if TYPE_CHECKING:
    from learning.vlm.model import VisionLanguageModel


@lru_cache(maxsize=1)
def loaded(model: ModelFolder) -> VisionLanguageModel:
    """The model; raises :class:`ModelError` where it cannot be used or has changed, and MissingDependency."""
    check_libraries()
    folder = Path(model.path)
    if identify(folder).sha256 != model.sha256:
        raise ModelError(f"{folder} has changed since the inspection began.", "Leave models alone while they run.")
    from learning.vlm.model import load

    return load(folder)

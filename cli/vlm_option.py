"""The option --vlm, and from what it or config.json names to a vision-language model that is checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from errors import ModelError
from inspection import model_of
from inspection_settings import InspectionSettings
from learning.vlm.libraries import check_libraries
from learning.vlm.model_folder import identify

VLM_HELP = "folder of a vision-language model to ask besides the rules; none: ask none (default: as config.json says)"
_NONE = "none"


def with_vlm(settings: InspectionSettings, chosen: str | None) -> InspectionSettings:
    """The settings with the model that ``--vlm`` names, without it (None) that of config.json where it is enabled.

    Raises :class:`errors.MissingDependency` without its libraries, :class:`ModelError` for a folder of no use.
    """
    vlm = settings.config.vlm
    folder = chosen if chosen is not None else vlm.model if vlm.enabled else _NONE
    if folder == _NONE:
        return settings
    if not folder:
        raise ModelError("A vision-language model is to be asked, but none is named.", "Set vlm.model, or give --vlm.")
    check_libraries()
    return replace(settings, vlm=identify(Path(folder).expanduser()))


def worker_count(settings: InspectionSettings, asked: int | None, otherwise: int) -> int:
    """How many processes inspect: what was asked for, else one where each would load a vision-language model."""
    return asked or (1 if settings.vlm is not None else otherwise)


def load_early(settings: InspectionSettings, jobs: int) -> None:
    """Load the model where this process will ask it, so that one of no use is known before anything is written."""
    if jobs == 1:
        model_of(settings)

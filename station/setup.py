"""What the captures are inspected with: the options of the start, and what the person at the station has chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import batch
from calibration import DEFAULT_PATH, Calibration, load_calibration
from cli import run_info
from cli.job_settings import choose_settings
from cli.model_options import with_networks
from config_loader import load_config
from inspection_settings import InspectionSettings
from settings import Config


@dataclass(frozen=True)
class Given:
    """What the command line has fixed; ``calibration`` None is the one beside main.py, where it exists."""

    config: Path
    calibration: Path | None = None
    core_um: float | None = None
    cladding_um: float | None = None
    zones: str | None = None
    models: Mapping[str, Path | None] | None = None  # networks by task, None = those of config.json

    @property
    def calibration_path(self) -> Path:
        """The file that a new calibration is written to."""
        return self.calibration or DEFAULT_PATH


@dataclass(frozen=True)
class Choice:
    """What may change between two captures; None = as config.json says, or not known."""

    profile: str | None = None
    fiber_type: str | None = None
    operator: str = ""


@dataclass(frozen=True)
class Setup:
    """Everything that a capture is inspected with."""

    choice: Choice
    settings: InspectionSettings
    settings_sha256: str

    @property
    def config(self) -> Config:
        """The configuration with its profile applied."""
        return self.settings.config

    @property
    def calibration(self) -> Calibration | None:
        """The calibration in force."""
        return self.settings.calibration

    def job(self, folder: Path) -> batch.Job:
        """The batch's job for captures of this setup that go into ``folder``."""
        provenance = run_info.provenance(self.settings, self.choice.operator)
        return batch.Job(self.settings, self.settings_sha256, batch.OutputOptions(folder.absolute()), provenance)


def make_setup(given: Given, choice: Choice) -> Setup:
    """Read config.json and calibration.json, and apply the choice. Raises :class:`errors.BlinkError`."""
    config = load_config(given.config, choice.profile)
    calibration = load_calibration(given.calibration_path, required=given.calibration is not None)
    settings = choose_settings(
        config,
        calibration,
        core_um=given.core_um,
        cladding_um=given.cladding_um,
        fiber_type=choice.fiber_type,
        zones=given.zones,
    )
    settings = with_networks(settings, given.models)
    return Setup(choice, settings, run_info.settings_hash(settings))

"""Where the live picture comes from: a Basler camera, or a folder of images that is played as if it were one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np

import camera as basler
from camera import Camera, CameraState
from errors import CameraError, UnreadableImage
from image_io import read_image
from settings import CameraSettings


class Feed(Protocol):
    """An open source. ``state`` is what a camera says of itself, None for a folder."""

    title: str
    full_scale: int  # the largest grey level of its frames
    state: CameraState | None

    def frame(self) -> np.ndarray:
        """The newest picture, (H, W) uint8 or uint16; waits for it. Raises :class:`errors.BlinkError`."""

    def set_exposure_us(self, exposure_us: float) -> str:
        """Set the exposure; returns a sentence on what is set now."""

    def set_gain_db(self, gain_db: float) -> str:
        """Set the gain; returns a sentence on what is set now."""

    def find_exposure(self) -> str:
        """Let the camera search its exposure once; returns a sentence on how that went."""


class Source(Protocol):
    """What can be opened, again and again: a camera may be unplugged and come back."""

    def opened(self) -> AbstractContextManager[Feed]:
        """The source, open while the block runs. Raises :class:`errors.BlinkError`."""


class CameraSource:
    """The camera that ``settings`` name, set up for measuring."""

    def __init__(self, settings: CameraSettings) -> None:
        self._settings = settings

    @contextlib.contextmanager
    def opened(self) -> Iterator[Feed]:
        """Raises :class:`errors.CameraError`, or :class:`errors.MissingDependency` without pypylon."""
        with basler.open_camera(self._settings) as camera:
            feed = _CameraFeed(camera, self._settings, basler.configure(camera, self._settings))
            try:
                yield feed
            finally:
                feed.pause()


class _CameraFeed:
    def __init__(self, camera: Camera, settings: CameraSettings, state: CameraState) -> None:
        self.title, self.state = f"Camera {camera}", state
        self.full_scale = basler.full_scale(state.pixel_format)
        self._camera, self._settings = camera, settings
        self._running = contextlib.ExitStack()
        self._next: Callable[[], np.ndarray] | None = None

    def frame(self) -> np.ndarray:
        if self._next is None:
            self._next = self._running.enter_context(basler.streaming(self._camera, self._settings.timeout_s))
        return self._next()

    def pause(self) -> None:
        """Stop the camera until the next frame is asked for."""
        self._next = None
        self._running.close()

    def set_exposure_us(self, exposure_us: float) -> str:
        now_us = basler.set_exposure_us(self._camera, exposure_us)
        self.state = basler.read_state(self._camera, differences=self.state.differences)
        return f"Exposure: {now_us:.0f} us."

    def set_gain_db(self, gain_db: float) -> str:
        doubts = basler.set_gain_db(self._camera, gain_db)
        self.state = basler.read_state(self._camera, differences=self.state.differences)
        return " ".join((f"Gain: {self.state.gain:.1f} {self.state.gain_unit}.", *doubts))

    def find_exposure(self) -> str:
        self.pause()  # the search takes frames one by one
        limit_us = self._settings.auto_exposure_max_us
        found = basler.auto_exposure(self._camera, timeout_s=self._settings.timeout_s, max_exposure_us=limit_us)
        self.state = basler.read_state(self._camera, differences=self.state.differences)
        return found.message


class FolderSource:
    """Images played in a circle, each for a while. An unreadable one is said and passed over."""

    def __init__(self, images: tuple[Path, ...], seconds_per_image: float) -> None:
        self._images, self._seconds = images, seconds_per_image
        self._index, self._shown_until_s = -1, 0.0
        self._grey: np.ndarray | None = None

    @contextlib.contextmanager
    def opened(self) -> Iterator[Feed]:
        yield _FolderFeed(self)

    def frame(self) -> np.ndarray:
        """The image whose turn it is; raises :class:`errors.UnreadableImage`."""
        if self._grey is None or time.monotonic() >= self._shown_until_s:
            self._index, self._grey = (self._index + 1) % len(self._images), None
            path = self._images[self._index]
            try:
                self._grey = read_image(path).grey
            except UnreadableImage as error:
                raise UnreadableImage(f"{path.name}: {error.message}", error.remedy) from error
            self._shown_until_s = time.monotonic() + self._seconds
        return self._grey

    def title(self) -> str:
        """What is played."""
        count = len(self._images)
        return f"Folder {self._images[0].parent}, {count} image{'s' * (count != 1)}"


class _FolderFeed:
    full_scale, state = 255, None

    def __init__(self, source: FolderSource) -> None:
        self.title, self.frame = source.title(), source.frame

    def set_exposure_us(self, exposure_us: float) -> str:
        raise _no_camera()

    def set_gain_db(self, gain_db: float) -> str:
        raise _no_camera()

    def find_exposure(self) -> str:
        raise _no_camera()


def _no_camera() -> CameraError:
    return CameraError("A folder is played as the camera: it has no exposure and no gain.")

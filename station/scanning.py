"""Tell a barcode scanner, which types a number and Enter, from a person at the keyboard: by the speed alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

Press = TypeVar("Press")

SCAN_GAP_MS = 50  # people leave more between two characters, scanners less
QUIET_MS = 120  # nothing follows: what was held was typed by hand
_LEAST_SCAN = 3
_FLOW_MS = 300  # a burst that begins so soon after other characters is the rest of something


@dataclass
class Burst(Generic[Press]):
    """Key presses that wait until it is clear who typed them; times are those of the presses themselves."""

    _held: list[tuple[str, Press]] = field(default_factory=list)
    _last_ms: float = -1e9
    _began_after_ms: float = 1e9  # since the character before the first one held

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._held

    @property
    def continues(self) -> bool:
        """Whether what waits follows so closely on what was handed on that it belongs to it."""
        return self._began_after_ms < _FLOW_MS

    def add(self, text: str, press: Press, at_ms: float) -> list[Press]:
        """Hold a character; returns the presses before it that a person made, as the pause after them shows."""
        gap_ms = at_ms - self._last_ms
        by_hand = self.release() if self._held and gap_ms >= SCAN_GAP_MS else []
        if not self._held:
            self._began_after_ms = gap_ms
        self._held.append((text, press))
        self._last_ms = at_ms
        return by_hand

    def scanned(self, at_ms: float) -> str:
        """The text that Enter at this time completes, if a scanner typed it; else empty, and all is held still."""
        if len(self._held) < _LEAST_SCAN or at_ms - self._last_ms >= QUIET_MS:
            return ""
        text = "".join(each for each, _ in self._held)
        self._held.clear()
        return text

    def release(self) -> list[Press]:
        """Give up what is held, as typed by hand."""
        presses = [press for _, press in self._held]
        self._held.clear()
        return presses

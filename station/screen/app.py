"""The Qt application around the window."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from PySide6.QtCore import QTimer, qInstallMessageHandler
from PySide6.QtWidgets import QApplication

from cli.interrupts import StopRequest
from station.screen.style import Sizes
from station.screen.window import StationWindow
from station.session import Session

_LOOK_MS = 200
logger = logging.getLogger("dscope.station")


def show_station(session: Session, profiles: Sequence[str], stop: StopRequest, *, full_screen: bool) -> None:
    """Show the window until it is closed, or until a signal asks for the end, which discards what is not saved."""
    qInstallMessageHandler(lambda kind, context, text: logger.debug("Qt: %s", text))
    application = QApplication.instance() or QApplication(sys.argv[:1])
    area = application.primaryScreen().size()
    window = StationWindow(session, profiles, Sizes.for_screen(area.width(), area.height()))

    def look() -> None:  # Python sees a signal only when it runs
        if stop.requested:
            session.discard()
            window.close()

    timer = QTimer()
    timer.timeout.connect(look)
    timer.start(_LOOK_MS)
    window.showFullScreen() if full_screen else window.showMaximized()
    application.exec()

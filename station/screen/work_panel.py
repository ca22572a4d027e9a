"""The right side of the window while inspecting: verdict, reasons, table of marks, and what to do next."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QScrollArea,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from records import Defect, InspectionRecord
from reports.annotate import worst_first
from settings import ReportingSettings
from station import words
from station.screen import style
from station.screen.widgets import button, label
from station.session import Phase, Session

_OTHER_STATUS = "#4A4A6A"


class WorkPanel(QWidget):
    """``selected`` is the name of the mark whose row is chosen; ``on_select`` is called when it changes."""

    def __init__(self, session: Session, sizes: style.Sizes, on_select: Callable[[], None]) -> None:
        super().__init__()
        self.selected: str | None = None
        self._session, self._sizes, self._on_select = session, sizes, on_select
        self._shown: tuple[object, ...] = ()
        self.verdict = label("", "verdict")
        self.verdict.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.verdict.setMinimumHeight(sizes.px(96))
        self.reasons = label(wraps=True)
        self.reasons.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.warnings = label("", "warnings", wraps=True)
        texts = QWidget()
        lines = QVBoxLayout(texts)
        lines.setContentsMargins(*([sizes.px(6)] * 4))
        lines.addWidget(self.reasons)
        lines.addWidget(self.warnings)
        lines.addStretch(1)
        self._reasons_area = QScrollArea()
        self._reasons_area.setWidget(texts)
        self._reasons_area.setWidgetResizable(True)
        self._reasons_area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table = _table(sizes)
        self.table.itemSelectionChanged.connect(self._selected)
        self.capture = button("Capture and inspect\nSpace", session.capture, name="main")
        self.again = button("Again\nF8", session.again, name="action")
        self.save = button("Save\nF9", session.save, name="action")
        self.next = button("Save, next\nF10", session.next, name="main")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(sizes.px(8))
        layout.addWidget(self.verdict)
        layout.addWidget(self._reasons_area, 2)
        layout.addWidget(self.table, 5)
        layout.addWidget(self.capture)
        row = QHBoxLayout()
        for each in (self.again, self.save, self.next):
            row.addWidget(each, 3 if each is self.next else 2)
        layout.addLayout(row)

    def refresh(self) -> None:
        """Show what the session is doing; the table is made anew only for another result."""
        session, inspected = self._session, self._session.inspected
        has_picture = session.live.view.sight is not None
        if self._shown == (session.phase, inspected, has_picture):
            return
        before, self._shown = self._shown, (session.phase, inspected, has_picture)
        if not before or before[1] is not inspected:
            self.selected = None
            record = None if inspected is None else inspected.inspection.record
            self._fill(record)
        self._show_verdict()
        is_result = session.phase in (Phase.RESULT, Phase.SAVED)
        self.capture.setVisible(inspected is None)
        self.capture.setEnabled(session.phase is Phase.LIVE and has_picture)
        for each in (self.again, self.save, self.next):
            each.setVisible(inspected is not None)
            each.setEnabled(is_result)
        self.save.setEnabled(session.phase is Phase.RESULT)
        self.save.setText("Saved" if session.phase is Phase.SAVED else "Save\nF9")
        self.next.setText("Next\nF10" if session.phase is Phase.SAVED else "Save, next\nF10")

    def step(self, key: int) -> None:
        """Move the selection with the keys."""
        rows = self.table.rowCount()
        if rows:
            by = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_PageUp: -5, Qt.Key.Key_PageDown: 5}[key]
            now = self.table.currentRow() if self.table.selectedItems() else -1
            row = 0 if now < 0 else min(max(now + by, 0), rows - 1)
            self.table.selectRow(row)
            self.table.scrollToItem(self.table.item(row, 0))

    def _show_verdict(self) -> None:
        session = self._session
        if session.inspected is None:
            waiting = "READY" if session.live.view.sight is not None else "NO PICTURE"
            self._paint_verdict("INSPECTING" if session.phase is Phase.INSPECTING else waiting, style.PANEL)
            self.reasons.setText(words.breakable(_ready_text(session)))
            self.warnings.setText("")
            return
        record = session.inspected.inspection.record
        self._paint_verdict(record.status.upper(), _color_of(record, session.setup.config.reporting))
        self.reasons.setText(words.breakable("\n".join(words.reasons_of(record))))
        self.warnings.setText(words.breakable("\n".join(record.warnings)))

    def _paint_verdict(self, text: str, color: str) -> None:
        size = self._sizes.px(60 if len(text) <= 10 else 30)
        self.verdict.setText(text)
        self.verdict.setStyleSheet(f"background: {color}; font-size: {size}px;")

    def _fill(self, record: InspectionRecord | None) -> None:
        defects = [] if record is None else worst_first(record.defects)
        self.table.blockSignals(True)
        self.table.clearSelection()
        self.table.setRowCount(len(defects))
        for row, defect in enumerate(defects):
            self._fill_row(row, defect, record)
        self.table.setVisible(bool(defects))
        self.table.blockSignals(False)

    def _fill_row(self, row: int, defect: Defect, record: InspectionRecord) -> None:
        colors = self._session.setup.config.reporting.class_colors
        for column, text in enumerate(words.row_of(defect, record)):
            item = QTableWidgetItem(text)
            if column == 0:
                item.setForeground(QColor(colors.get(defect.kind, style.TEXT)))
            if column == len(words.COLUMNS) - 1 and defect.violates:
                item.setForeground(QColor(style.BAD))
            self.table.setItem(row, column, item)

    def _selected(self) -> None:
        chosen = self.table.selectedItems()
        self.selected = chosen[0].text() if chosen else None
        self._on_select()


def _ready_text(session: Session) -> str:
    if session.phase is Phase.INSPECTING:
        return "The picture is kept: the fibre may move again."
    last = f"\nLast saved: {session.saved[-1].image_filename}, {session.saved[-1].status}." if session.saved else ""
    return f"Bring the fibre into focus, then press Space.{last}\n{len(session.saved)} saved."


def _color_of(record: InspectionRecord, reporting: ReportingSettings) -> str:
    return reporting.status_colors.get(record.status, _OTHER_STATUS)


def _table(sizes: style.Sizes) -> QTableWidget:
    table = QTableWidget(0, len(words.COLUMNS))
    table.setHorizontalHeaderLabels(words.COLUMNS)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
    table.setShowGrid(False)
    table.verticalHeader().setVisible(False)
    table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    table.verticalHeader().setDefaultSectionSize(sizes.target)
    header = table.horizontalHeader()
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(len(words.COLUMNS) - 1, QHeaderView.ResizeMode.Stretch)
    header.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
    return table

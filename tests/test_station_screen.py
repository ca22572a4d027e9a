"""The station's window, drawn offscreen: what it shows, what its keys do, and what a scanner cannot make it do."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import station_fakes as fakes  # skips these tests without PySide6

# isort: split
import faces
from main_runs import read_records, until
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QImage, QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QLineEdit, QPushButton

import batch
from camera import CameraState
from image_io import decode_image
from records import FAIL
from rendering.targets import render_dot_grid
from station import words
from station.screen import style
from station.screen.window import StationWindow
from station.session import Phase

pytestmark = pytest.mark.usefixtures("isolated")
PROFILES = ("deep_inspection", "fast_scan")
KEY = Qt.Key


class Bench:
    """The window with what a person does to it."""

    def __init__(self, session, size):
        self.session = session
        self.window = StationWindow(session, PROFILES, style.Sizes.for_screen(*size))
        self.window.resize(*size)
        self.window.show()
        self.at_ms = 1000
        self.settle()

    def settle(self) -> None:
        QApplication.processEvents()
        self.window.refresh()
        QApplication.processEvents()

    def until(self, condition) -> None:
        until(lambda: self.settle() or condition())

    def wait_for(self, phase) -> None:
        self.until(lambda: self.session.phase is phase)
        self.settle()

    def press(self, key: int, text: str = "", after_ms: int = 1000, modifiers=Qt.KeyboardModifier.NoModifier) -> None:
        """One key as the window system sends it; its time is told, so that a slow machine changes nothing."""
        self.at_ms += after_ms
        event = QKeyEvent(QEvent.Type.KeyPress, key, modifiers, text)
        event.setTimestamp(self.at_ms)
        handle = self.window.windowHandle()
        if not self.window.keys.eventFilter(handle, event):
            QApplication.sendEvent(QApplication.focusWidget() or self.window, event)

    def type(self, text: str, gap_ms: int = 200) -> None:
        """By hand."""
        for char in text:
            self.press(ord(char.upper()), char, gap_ms)
        QTest.qWait(150)

    def scan(self, text: str) -> None:
        """As a scanner does: fast, with Shift for capitals, Enter at the end."""
        for number, char in enumerate(text):
            if char.isupper():
                self.press(KEY.Key_Shift, after_ms=0)
            self.press(ord(char.upper()), char, 4 if number else 1000)
        self.press(KEY.Key_Return, "\r", 4)
        self.settle()

    def image(self) -> QImage:
        return self.window.grab().toImage()


@contextlib.contextmanager
def bench(camera=None, size=(1280, 800), **options):
    QApplication.instance() or QApplication([])
    with fakes.running(Path("out"), camera, **options) as session:
        each = Bench(session, size)
        each.until(lambda: session.live.view.sight is not None)
        try:
            yield each
        finally:
            session.discard()
            each.until(lambda: each.window.close() or not each.window.isVisible())


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(batch, "inspect_bytes", fakes.fake_inspection(FAIL))


def results():
    return read_records(Path("out/results.jsonl"))


# --- the way of a part through the window ----------------------------------------------------------------------------


def test_from_the_live_picture_to_the_saved_result():
    pitted = decode_image(faces.pitted_png(), name="pitted.png").grey
    with bench(fakes.FakeCamera(pitted), operator="Ada") as each:
        window, work = each.window, each.window.work
        assert work.verdict.text() == "READY" and "Fibre found" in window.strip.fiber.text()
        each.scan("SN12345")
        assert window.serial_field.text() == "SN12345"
        each.press(KEY.Key_Space, " ")
        each.wait_for(Phase.RESULT)
        assert work.verdict.text() == "FAIL" and "#D9281E" in work.verdict.styleSheet()
        record = each.session.inspected.inspection.record
        assert work.table.rowCount() == len(record.defects) > 1
        assert work.reasons.text().splitlines()[0] == record.reasons[0]
        each.settle()
        plain = each.image()
        each.press(KEY.Key_Down)
        each.settle()
        assert work.selected == work.table.item(0, 0).text()
        assert each.image() != plain  # the mark stands out in the picture
        each.press(KEY.Key_F10)
        each.wait_for(Phase.LIVE)
        assert window.serial_field.text() == "" and work.verdict.text() == "READY"
    (saved,) = results()
    assert (saved.status, saved.serial_number, saved.provenance.operator) == (FAIL, "12345", "Ada")


@pytest.mark.usefixtures("quick")
def test_buttons_do_what_keys_do():
    with bench() as each:
        work = each.window.work
        for act in (work.capture.click, lambda: each.press(KEY.Key_Space, " ")):
            act()
            each.wait_for(Phase.RESULT)
            assert not work.capture.isVisible() and work.save.isEnabled()
            work.again.click()
            each.wait_for(Phase.LIVE)
        work.capture.click()
        each.wait_for(Phase.RESULT)
        work.save.click()
        each.wait_for(Phase.SAVED)
        assert not work.save.isEnabled() and work.save.text() == "Saved"
        work.next.click()
        each.wait_for(Phase.LIVE)
    assert len(results()) == 1


def test_the_picture_goes_on_while_one_is_inspected(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(batch, "inspect_bytes", fakes.fake_inspection(wait=released))
    with bench() as each:
        each.press(KEY.Key_Space, " ")
        each.settle()
        assert each.window.work.verdict.text() == "INSPECTING"
        shown = each.window._shown_number
        each.until(lambda: each.window._shown_number > shown + 3)
        released.set()
        each.wait_for(Phase.RESULT)


def test_a_lost_camera_is_said_and_comes_back():
    camera = fakes.FakeCamera()
    with bench(camera) as each:
        camera.unplugged = True
        each.until(lambda: each.window.work.verdict.text() == "NO PICTURE")
        assert "unplugged" in each.window.picture._text and not each.window.work.capture.isEnabled()
        camera.unplugged = False
        each.until(lambda: each.window.work.capture.isEnabled())


# --- keys and scanners -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("place", ["nowhere", "operator", "list", "settings", "spacing"])
def test_a_scan_is_the_serial_number_wherever_the_focus_is(place):
    with bench(operator="Ada") as each:
        window = each.window
        actions = {
            "nowhere": window.serial_field.clearFocus,
            "operator": window.part.operator.setFocus,
            "list": window.part.profile.showPopup,
            "settings": lambda: window.show_page(window.settings),
            "spacing": lambda: (window.show_page(window.calibration), window.calibration.spacing.field.setFocus()),
        }
        actions[place]()
        each.settle()
        before = each.session.setup
        each.scan("AB-12 34n")
        assert each.session.serial == window.serial_field.text() == "AB-12 34n"
        assert each.session.setup is before and window.part.operator.text() == "Ada"
        assert window.calibration.spacing.value == 10.0
        window.part.profile.hidePopup()


@pytest.mark.usefixtures("quick")
def test_a_number_typed_by_hand_goes_to_its_field():
    with bench() as each:
        each.type("4711a")
        assert each.session.serial == "4711a" and each.window.serial_field.hasFocus()
        each.press(KEY.Key_Return, "\r")
        assert each.session.phase is Phase.LIVE and not each.window.serial_field.hasFocus()
        each.type("b")
        assert each.session.serial == "4711ab"


@pytest.mark.usefixtures("quick")
def test_a_name_typed_by_hand_stays_where_it_is_typed():
    with bench() as each:
        each.press(KEY.Key_F7)
        each.type("Ada L")
        each.press(KEY.Key_Return, "\r")
        assert each.session.setup.choice.operator == "Ada L" and each.session.serial == ""
        assert each.session.phase is Phase.LIVE


@pytest.mark.usefixtures("quick")
def test_half_a_scan_is_no_serial_number():
    with bench() as each:
        each.press(KEY.Key_F7)
        for number, char in enumerate("SN12345"):
            each.press(ord(char), char, 100 if number == 2 else 4)
        each.press(KEY.Key_Return, "\r", 4)
        assert each.session.serial == "" and "scan again" in each.session.message.text


@pytest.mark.usefixtures("quick")
def test_neither_enter_nor_space_presses_a_button():
    with bench() as each:
        buttons = each.window.findChildren(QPushButton) + each.window.findChildren(QComboBox)
        assert len(buttons) > 15 and all(button.focusPolicy() == Qt.FocusPolicy.NoFocus for button in buttons)
        captured_pages = 0
        for page in (each.window.settings, each.window.help, each.window.closing):
            each.window.show_page(page)
            for key, text in ((KEY.Key_Space, " "), (KEY.Key_Return, "\r"), (KEY.Key_Enter, "\r")):
                each.press(key, text)
                each.settle()
                captured_pages += each.session.phase is not Phase.LIVE
            assert each.window.pages.currentWidget() is page
        assert captured_pages == 0
        each.press(KEY.Key_Escape)
        assert each.window.pages.currentWidget() is each.window.work


@pytest.mark.usefixtures("quick")
def test_space_does_not_capture_again_over_a_result():
    with bench() as each:
        each.press(KEY.Key_Space, " ")
        each.wait_for(Phase.RESULT)
        shown = each.session.inspected
        for _ in range(3):
            each.press(KEY.Key_Space, " ")
            each.press(KEY.Key_Return, "\r")
        each.settle()
        assert each.session.inspected is shown and each.session.saved == []


@pytest.mark.usefixtures("quick")
def test_every_key_of_the_list_does_something():
    named = {key for key, _ in words.KEYS}
    with bench() as each:
        known = {Qt.Key(key).name.removeprefix("Key_") for key in each.window._actions()}
    assert known <= named and named - known == {"Space", "Up, Down", "Esc", "Ctrl+Q"}


def test_keys_that_are_held_do_not_repeat(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(batch, "inspect_bytes", fakes.fake_inspection(wait=released))
    with bench() as each:
        event = QKeyEvent(QEvent.Type.KeyPress, KEY.Key_Space, Qt.KeyboardModifier.NoModifier, " ", True)
        each.window.keys.eventFilter(each.window.windowHandle(), event)
        assert each.session.phase is Phase.LIVE
        released.set()


# --- switches, choices, settings -------------------------------------------------------------------------------------


def test_switches_change_the_picture():
    with bench() as each:
        seen = [each.image()]
        for key in (KEY.Key_F3, KEY.Key_F2, KEY.Key_Insert):
            each.press(key)
            each.settle()
            seen.append(each.image())
        assert all(seen[i] != seen[j] for i in range(4) for j in range(i))
        assert replace(each.window.switches) == replace(each.window.switches, marks=False, zones=False, zoom=True)


@pytest.mark.usefixtures("quick")
def test_profile_and_fibre_type_hold_for_the_next_capture():
    with bench() as each:
        part = each.window.part
        part.profile.setCurrentText("fast_scan")
        part.profile.activated.emit(part.profile.currentIndex())
        index = part.fiber_type.findData("multimode_50_125")
        part.fiber_type.setCurrentIndex(index)
        part.fiber_type.activated.emit(index)
        settings = each.session.setup.settings
        assert (settings.config.profile, settings.fiber_type.name) == ("fast_scan", "multimode_50_125")
        assert each.session.live.settings is settings


def test_settings_that_are_refused_are_said_and_shown_as_they_were(tmp_path):
    config = tmp_path / "config.json"
    config.write_text((fakes.GIVEN.config).read_text(encoding="utf-8"), encoding="utf-8")
    with bench(given=replace(fakes.GIVEN, config=config)) as each:
        config.write_text("{", encoding="utf-8")  # somebody edits it while the station runs
        part, before = each.window.part, each.session.setup
        part.profile.setCurrentText("fast_scan")
        part.profile.activated.emit(part.profile.currentIndex())
        each.settle()
        assert each.session.setup is before and part.profile.currentText() == "deep_inspection"
        assert "config.json" in each.window.message.text()
        assert each.session.live.view.sight is not None


def test_the_settings_page_changes_the_exposure():
    camera = fakes.FakeCamera()
    camera.state = camera_state(exposure_us=1000.0)
    with bench(camera) as each:
        each.press(KEY.Key_F12)
        each.until(lambda: each.window.settings.exposure.value == 1000.0)
        each.window.settings.exposure.more()
        each.until(lambda: camera.asked == [1250.0])
        field = each.window.settings.exposure.field
        field.setFocus()
        field.selectAll()
        each.type("800")
        each.press(KEY.Key_Return, "\r")
        each.until(lambda: camera.asked[-1] == 800.0)
        each.until(lambda: each.window.message.text() == "Exposure: 800 us.")


def camera_state(**values):
    numbers = {"exposure_us": 1.0, "gain": 0.0, "gamma": 1.0, "width_px": 400, "height_px": 300} | values
    return CameraState(model="Model", serial="4711", pixel_format="Mono8", gain_unit="dB", **numbers)


def test_the_guided_calibration_shows_and_uses_the_scale(tmp_path):
    grid, truth = render_dot_grid(size=(480, 360), spacing_px=21.3, rotation_deg=9.0, noise_grey=2.0, seed=3)
    calibration = tmp_path / "calibration.json"
    calibration.write_text('{"um_per_px": 0.9}', encoding="utf-8")
    with bench(fakes.FakeCamera(grid), given=replace(fakes.GIVEN, calibration=calibration)) as each:
        page = each.window.calibration
        each.window.show_page(page)
        each.press(KEY.Key_Space, " ")
        each.until(lambda: each.window.guide.measured is not None)
        each.settle()
        assert "um per pixel" in page.result.text() and page.use.isEnabled()
        each.press(KEY.Key_F9)
        each.settle()
        assert each.session.setup.calibration.um_per_px == pytest.approx(truth.um_per_px, rel=1e-3)
        assert each.session.phase is Phase.LIVE and each.session.saved == []


# --- closing ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("key", "count"), [(KEY.Key_F9, 1), (KEY.Key_F8, 0)])
def test_closing_over_a_result_asks_first(key, count):
    with bench() as each:
        each.press(KEY.Key_Space, " ")
        each.wait_for(Phase.RESULT)
        each.window.close()
        each.settle()
        assert each.window.isVisible() and each.window.pages.currentWidget() is each.window.closing
        each.press(KEY.Key_Escape)
        assert each.window.pages.currentWidget() is each.window.work
        each.window.close()
        each.press(key)
        each.until(lambda: not each.window.isVisible())
    assert len(results()) == count


@pytest.mark.parametrize(("key", "count"), [(KEY.Key_F9, 1), (KEY.Key_F8, 0)])
def test_closing_in_mid_inspection_asks_and_keeps_or_discards(monkeypatch, key, count):
    released = threading.Event()
    monkeypatch.setattr(batch, "inspect_bytes", fakes.fake_inspection(wait=released))
    with bench() as each:
        each.press(KEY.Key_Space, " ")
        each.window.close()
        each.settle()
        assert each.window.isVisible()
        each.press(key)
        released.set()
        each.until(lambda: not each.window.isVisible())
    assert len(results()) == count


# --- for eyes and fingers --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
def test_targets_are_large_enough_and_nothing_is_pushed_out(size):
    with bench(size=size, operator="A" * 80) as each:
        window = each.window
        each.scan("x" * 80)
        each.press(KEY.Key_Space, " ")
        each.wait_for(Phase.RESULT)
        for page in (window.work, window.settings, window.calibration, window.help, window.closing):
            window.pages.setCurrentWidget(page)
            each.settle()
            assert (window.width(), window.height()) == size
            for target in (*window.findChildren(QPushButton), *window.findChildren(QLineEdit)):
                if target.isVisible() and not isinstance(target.parent(), QComboBox):
                    assert min(target.width(), target.height()) >= style.LEAST_TARGET_PX, target.accessibleName()


@pytest.mark.usefixtures("quick")
def test_names_are_text_and_never_html():
    with bench(operator="<b>Ada</b>") as each:
        each.scan("<img>")
        each.session.say("<script>alert(1)</script>")
        each.settle()
        assert each.window.message.textFormat() == Qt.TextFormat.PlainText
        assert each.window.message.text().replace("\u200b", "") == "<script>alert(1)</script>"


def luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("color", [style.TEXT, style.QUIET, style.WARNING, style.GOOD])
@pytest.mark.parametrize("ground", [style.GROUND, style.PANEL])
def test_texts_stand_out(color, ground):
    assert (luminance(color) + 0.05) / (luminance(ground) + 0.05) > 7

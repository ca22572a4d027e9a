"""report.html in a real browser: headless Chromium, as the system has it.

    pip install -r requirements-browser.txt

Playwright drives it over the browser's own protocol, so no driver program must match the browser's version.
"""

import shutil
from collections import Counter
from urllib.parse import unquote

import pytest
from html_batches import BEYOND, NOT_UNICODE, QUOTES, SCRIPT, UMLAUTS, inspections, write_batch
from main_runs import until
from report_samples import failed_inspection

from records import LOCALIZATION_FAILED, UNREADABLE

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright: pip install -r requirements-browser.txt")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
SHOWN_BYTES = NOT_UNICODE.encode("utf-8", "backslashreplace").decode()
NAMES = [item.record.image_filename for item in inspections()]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A folder with a name that an address must escape."""
    folder = tmp_path_factory.mktemp("100% <b>ü #1")
    return write_batch(folder)


@pytest.fixture(scope="module")
def window(browser):
    context = browser.new_context(viewport={"width": 1300, "height": 850}, color_scheme="light")
    opened = context.new_page()
    opened.set_default_timeout(5000)
    return opened


@pytest.fixture
def page(window, report):
    """The report, newly opened; afterwards nothing may have gone wrong in it, or have been asked from elsewhere."""
    troubles = []
    watched = {
        "console": lambda message: troubles.append(message.text),
        "pageerror": lambda error: troubles.append(str(error)),
        "dialog": lambda dialog: (troubles.append(dialog.message), dialog.dismiss()),
        "requestfailed": lambda request: "ABORTED" in request.failure or troubles.append(f"not there: {request.url}"),
        "request": lambda request: request.url.startswith(("file:", "data:")) or troubles.append(request.url),
    }
    for event, listener in watched.items():
        window.on(event, listener)
    window.goto(report.as_uri())
    yield window
    for event, listener in watched.items():
        window.remove_listener(event, listener)
    window.evaluate("localStorage.clear()")
    window.emulate_media(media="screen")
    window.mouse.move(0, 0)
    window.goto("about:blank")
    assert troubles == []


def names(page):
    return page.locator("#images tbody .name > span").all_text_contents()


def viewer_name(page):
    return page.locator("#viewer-name").text_content()


def wait_for_picture(page, state="loaded"):
    page.wait_for_selector(f"#stage[data-picture={state}]")


# --- table ----------------------------------------------------------------------------------------------------------


def test_every_image_is_listed_with_its_name_as_text(page):
    assert names(page) == [SHOWN_BYTES if name == NOT_UNICODE else name for name in NAMES]
    assert page.locator("#images script, #images tbody img[src=x]").count() == 0
    assert page.locator(".yield").inner_text().startswith("50.0 %")
    assert "3 of 6 judged images pass" in page.locator(".yield").inner_text()
    assert BEYOND in page.locator(".head .facts").text_content()
    assert page.locator(".head .flag").text_content() == "unverified"
    assert page.title().startswith("100% <b>ü #1")


def test_thumbnails_are_really_there(page):
    """Also of names with quotes, umlauts and bytes that are no Unicode."""
    pictures = page.locator("#images .thumb img")
    assert pictures.count() == len(NAMES) - 1
    until(lambda: pictures.evaluate_all("all => all.every((image) => image.complete && image.naturalWidth)"))
    sources = [
        unquote(source, errors="surrogateescape") for source in pictures.evaluate_all("all => all.map((i) => i.src)")
    ]
    assert [source.rpartition("_")[0].rpartition("/")[2] for source in sources][:4] == [
        name.removesuffix(".png") for name in (SCRIPT, QUOTES, UMLAUTS, NOT_UNICODE)
    ]


@pytest.mark.parametrize(
    ("title", "once", "twice"),
    [
        ("Number of marks", [SCRIPT, SHOWN_BYTES, "bare.png"], ["lost.png", "torn.png", "face2.png"]),
        ("Serial number", [SCRIPT, QUOTES, UMLAUTS], ["face2.png", "face10.png", SCRIPT]),
        ("Image", ["bare.png", "torn.png", "lost.png"], [SCRIPT, QUOTES, UMLAUTS]),
    ],
)
def test_a_click_on_a_title_sorts_and_a_second_one_turns_the_order(page, title, once, twice):
    for expected in (once, twice):
        page.get_by_role("button", name=f"Sort by {title}", exact=True).click()
        assert names(page)[:3] == expected


def test_filters_narrow_the_table_and_the_charts(page):
    page.locator("#status-filter [data-status=FAIL]").click()
    assert names(page) == [SCRIPT, UMLAUTS, "bare.png"]
    page.locator("#class-filter").select_option("Scratch")
    assert names(page) == [SCRIPT, "bare.png"]
    until(lambda: page.locator("#map-title").text_content().startswith("2 marks"))
    page.locator("#reason-filter").select_option(label="Scratch > 3um in Cladding (1)")
    assert names(page) == [SCRIPT]
    assert page.locator("#shown").text_content() == "1 of 9 images"
    page.locator("#reset").click()
    assert len(names(page)) == len(NAMES)
    page.locator("#zone-filter").select_option("Adhesive")
    assert names(page) == [UMLAUTS]
    page.locator("#reset").click()
    page.locator("#only-filter").select_option(label="marginal verdict (1)")
    assert names(page) == [SCRIPT]


def test_a_bar_of_the_reasons_filters(page):
    page.locator("#pareto button", has_text=BEYOND).click()
    assert names(page) == [UMLAUTS]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("größe", [UMLAUTS]),
        ("<SCRIPT", [SCRIPT]),
        ('"5" &', [QUOTES]),
        ("sn2", ["face2.png"]),
        ("dark picture", ["face10.png"]),
    ],
)
def test_search(page, text, found):
    page.keyboard.press("/")
    page.keyboard.type(text)
    assert names(page) == found


def test_nothing_found_is_said(page):
    page.locator("#search").fill("no such name")
    assert page.locator("#nothing").is_visible() and names(page) == []


def test_the_address_keeps_what_is_shown(page):
    page.locator("#search").fill("png & é")
    page.locator("#search").fill("png")
    page.get_by_role("button", name="Sort by Serial number").click()
    page.get_by_role("button", name="Sort by Serial number").click()
    page.locator("#status-filter [data-status=PASS]").click()
    page.locator(".thumb").first.click()
    before = names(page), viewer_name(page), page.url
    page.reload()
    assert (
        (names(page), viewer_name(page), page.url)
        == before
        == (["face2.png", "face10.png", QUOTES], "face2.png", page.url)
    )


def test_pages(page, tmp_path):
    page.goto(write_batch(tmp_path, [failed_inspection(UNREADABLE)] * 60, extras=False).as_uri())
    assert len(names(page)) == 50
    page.get_by_role("button", name="Next page").click()
    assert len(names(page)) == 10 and "page=2" in page.url
    page.locator("#pager select").select_option("25")
    assert page.locator("#pager").text_content().startswith("«‹Page 1 of 3")
    page.keyboard.press("ArrowUp")
    assert "Page 3 of 3" in page.locator("#pager").text_content()


# --- viewer ---------------------------------------------------------------------------------------------------------


def test_keys_open_go_on_and_close(page):
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert viewer_name(page) == QUOTES
    wait_for_picture(page)
    page.keyboard.press("ArrowRight")
    assert viewer_name(page) == UMLAUTS
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert viewer_name(page) == "bare.png"
    page.keyboard.press("f")
    page.keyboard.press("f")
    assert viewer_name(page) == UMLAUTS
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible() and "open=" not in page.url
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == f"Open {UMLAUTS}"
    page.keyboard.press("f")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Open bare.png"


def test_the_overlay_lies_on_the_marks_and_can_be_switched_off(page):
    page.locator(".thumb").nth(1).click()
    wait_for_picture(page)
    picture = page.locator("#stage image").bounding_box()
    outline = page.locator("#stage .mark .outline").bounding_box()
    scale = picture["width"] / 520
    middle = [
        (outline[axis] + outline[side] / 2 - picture[axis]) / scale - 0.5
        for axis, side in (("x", "width"), ("y", "height"))
    ]
    assert middle == pytest.approx([280, 150], abs=0.5)
    ring = page.locator("#stage .zone").first.bounding_box()
    assert ring["height"] / scale == pytest.approx(0.2 * 220, abs=1) and ring["width"] / scale == pytest.approx(
        0.2 * 200, abs=1
    )
    for visible in (False, True):
        page.keyboard.press("o")
        assert page.locator("#shapes").is_visible() is visible
    page.locator("#overlay").click()
    page.keyboard.press("ArrowRight")
    assert not page.locator("#shapes").is_visible() and "overlay=0" in page.url


def test_rows_and_marks_point_to_each_other(page):
    page.locator(".thumb").first.click()
    wait_for_picture(page)
    lines, marks = page.locator(".marks tbody tr"), page.locator("#stage .mark")
    assert lines.count() == marks.count() == 2
    lit = "all => all.map((item) => item.classList.contains('on') && item.dataset.number).filter((n) => n !== false)"
    lines.nth(1).hover()
    assert marks.evaluate_all(lit) == ["1"]
    page.locator("#viewer-name").hover()
    assert marks.evaluate_all(lit) == []
    page.locator("#stage .mark[data-number='0'] .outline").click()
    assert lines.evaluate_all(lit) == ["0"]
    zoom = page.evaluate("viewer.zoom")
    lines.nth(1).press("Enter")
    assert page.evaluate("viewer.zoom") > zoom and lines.evaluate_all(lit) == ["1"]
    assert "Scratch > 3um in Cladding" in lines.first.text_content()


def test_zoom(page):
    page.locator(".thumb").first.click()
    wait_for_picture(page)
    box = page.locator("#stage").bounding_box()
    x, y = box["x"] + 200, box["y"] + 100
    under = "([x, y]) => [(x - viewer.x) / viewer.zoom, (y - viewer.y) / viewer.zoom]"
    before, zoom = page.evaluate(under, [200, 100]), page.evaluate("viewer.zoom")
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    until(lambda: page.evaluate("viewer.zoom") > 1.5 * zoom)
    assert page.evaluate(under, [200, 100]) == pytest.approx(before, abs=0.5)
    page.mouse.down()
    page.mouse.move(x + 50, y + 30, steps=3)
    page.mouse.up()
    assert page.evaluate(under, [250, 130]) == pytest.approx(before, abs=0.5)
    page.mouse.dblclick(x, y)
    height = page.locator("#stage .zone").nth(1).bounding_box()["height"]
    assert height == pytest.approx(0.92 * box["height"] / 1.08, rel=0.02)
    page.keyboard.press("0")
    assert page.locator("#stage image").bounding_box()["width"] == pytest.approx(
        min(box["width"], box["height"] * 520 / 360), rel=0.01
    )


@pytest.mark.parametrize(("name", "state"), [("torn.png", "none"), ("lost.png", "loaded"), ("bare.png", "loaded")])
def test_images_without_fibre_or_plain_picture_have_no_overlay(page, name, state):
    page.get_by_role("button", name=f"Open {name}", exact=True).click()
    wait_for_picture(page, state)
    assert page.locator("#overlay").is_disabled() and page.locator("#stage .mark").count() == 0
    page.keyboard.press("o")
    page.keyboard.press("+")
    files = Counter(link.partition("_")[0] for link in page.locator(".files a").all_text_contents())
    assert files["report.csv"] == 1


def test_links_to_the_files_of_an_image_work(page, browser):
    page.get_by_role("button", name=f"Open {SHOWN_BYTES}").click()
    link = page.locator(".files a", has_text="annotated.png")
    other = browser.new_page()
    other.goto(link.evaluate("link => link.href"))
    assert other.evaluate("document.images[0].naturalWidth") > 100
    other.close()
    assert "Scale" in page.locator("#panel").text_content()


# --- sections, theme, paper -------------------------------------------------------------------------------------------


def test_findings_open_their_images_and_filter(page):
    text = page.locator("#findings").text_content()
    for part in (
        "Dirt on the optics",
        "in 3 images",
        "One end face in several images",
        "Marginal verdicts",
        "Out of focus",
    ):
        assert part in text
    page.locator("#findings .link", has_text="face10.png").click()
    assert viewer_name(page) == "face10.png"
    page.keyboard.press("Escape")
    page.locator("#findings li", has_text="One end face").locator(".link", has_text="show in the table").click()
    assert names(page) == [QUOTES, UMLAUTS]


def test_before_and_after(page):
    text = page.locator("#comparison").text_content()
    for part in (
        "results of <yesterday>",
        "○ 1 removed, ■ 1 stayed, ▲ 1 new",
        "No fibre was found before.",
        BEYOND,
        "only before.png",
    ):
        assert part in text
    assert page.locator("#comparison .faces path").count() == 3
    page.locator("#comparison .thumb").click()
    assert viewer_name(page) == "face2.png"


def test_the_theme_is_kept(page):
    theme = "document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "light"
    page.locator("#theme").click()
    assert page.evaluate(theme) == "dark"
    page.reload()
    assert page.evaluate(theme) == "dark"


def test_paper_shows_every_image_of_the_filter_in_light_colours(page):
    page.locator("#theme").click()
    page.evaluate("change({ rows: '1' })")
    assert len(names(page)) == 1
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert len(names(page)) == len(NAMES) and page.evaluate("document.documentElement.dataset.theme") == "light"
    page.emulate_media(media="print")
    assert not page.locator("#search").is_visible() and page.locator("#pareto").is_visible()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert len(names(page)) == 1 and page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_click_on_the_map_opens_the_image_of_the_mark(page):
    page.locator("#zone-filter").select_option("Adhesive")
    until(lambda: page.evaluate("map.marks.length") == 1)
    place = page.evaluate("(([x, y]) => [x * map.scale, y * map.scale])(mapPlace(map.marks[0]))")
    box = page.locator("#map").bounding_box()
    factor = box["width"] / 304
    page.mouse.click(box["x"] + box["width"] / 2 + factor * place[0], box["y"] + box["height"] / 2 - factor * place[1])
    assert viewer_name(page) == UMLAUTS


def test_an_image_that_could_not_be_inspected_has_no_counts(page):
    page.locator("#search").fill("lost")
    assert page.locator("#images tbody tr .number").all_text_contents()[:6] == [""] * 6
    assert page.locator("#images tbody .badge").text_content().endswith(LOCALIZATION_FAILED)

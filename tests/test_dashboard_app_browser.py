"""The dashboard in a real browser: what a reviewer does, by keyboard, mouse and ear."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request

import browser
import dashboard_archive
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def out(dashboard_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive") / "out"
    shutil.copytree(dashboard_folder, folder)
    return folder


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as started:
        yield started


@pytest.fixture(scope="module")
def address(out):
    with browser.dashboard(out) as (url, _):
        yield url


@pytest.fixture
def tab(chromium, address):
    """Return a page that notes every error and every request to anywhere else."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, base_url=address)
    context.set_default_timeout(60_000)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: said.type == "error" and faults.append(said.text))
    page.on(
        "request",
        lambda sent: (
            sent.url.startswith(("http", "ws"))
            and not sent.url.startswith(address)
            and faults.append(f"outside: {sent.url}")
        ),
    )
    yield page
    context.close()
    assert not faults


def rejected_piece(tab):
    """Filter the rejected pieces, and open the first from its finding."""
    tab.goto("/pieces")
    tab.get_by_label("Verdict").select_option("rejected")
    tab.wait_for_url("**/pieces?*verdict=rejected*")
    tab.locator("td.why a").first.click()
    tab.wait_for_url("**/pieces?*finding=*")
    tab.locator("table.list th a").first.click()
    tab.locator(".engraving").first.wait_for()


def test_a_rejected_piece_is_opened_from_its_finding_and_its_bar_is_lit(tab):
    rejected_piece(tab)
    # The filter stays in the address, and so in "next".
    assert "verdict=rejected" in tab.url
    assert "finding=" in tab.url
    lit = tab.locator(".box.lit").first
    lit.wait_for()
    finding = tab.locator("#findings li.lit").first
    number = finding.get_attribute("data-finding")
    assert number in lit.get_attribute("data-findings").split()
    measure = lit.locator("xpath=..")
    assert measure.get_attribute("data-bar") == finding.get_attribute("data-bar")


def test_findings_and_bars_open_each_other_by_mouse_and_keyboard(tab):
    rejected_piece(tab)
    items = tab.locator("#findings li[data-bar]")
    last = items.nth(items.count() - 1)
    last.locator("[data-goto]").click()
    number = last.get_attribute("data-finding")
    tab.locator(f'.box.lit[data-findings~="{number}"]').wait_for()
    first = tab.locator(".box.critical").first
    first.focus()
    tab.keyboard.press("Enter")
    opened = first.get_attribute("data-findings").split()[0]
    assert "lit" in tab.locator(f"#finding-{opened}").get_attribute("class")
    # The focus goes to the finding, so that a screen reader reads it.
    assert tab.evaluate("document.activeElement.closest('li').id") == f"finding-{opened}"


def test_boxes_enclose_the_notes_of_their_staff(tab):
    rejected_piece(tab)
    tab.locator(".box.critical").first.wait_for()
    inside = tab.evaluate(
        """() => [...document.querySelectorAll('.box')].map((box) => {
          const measure = box.parentNode, own = box.getBBox();
          const staves = [...measure.querySelectorAll(':scope > .staff')];
          return staves.some((staff) => {
            const notes = staff.getBBox();
            return own.y <= notes.y && own.y + own.height >= notes.y + notes.height;
          });
        })"""
    )
    assert inside
    assert all(inside)


def test_the_box_of_a_voice_is_on_the_staff_of_its_voice(tab):
    rejected_piece(tab)
    tab.locator(".box").first.wait_for()
    checked = 0
    for item in tab.locator("#findings li[data-bar]").all():
        voice = item.get_attribute("data-voice")
        number = item.get_attribute("data-finding")
        box = tab.locator(f'.box[data-findings~="{number}"]')
        if not voice or not box.count():
            continue
        at = box.evaluate(
            """(box) => {
              const own = box.getBBox(), middle = own.y + own.height / 2;
              const staves = [...box.parentNode.querySelectorAll(':scope > .staff')];
              const away = staves.map((staff) => {
                const lines = staff.querySelector(':scope > path').getBBox();
                return Math.abs(lines.y + lines.height / 2 - middle);
              });
              return away.indexOf(Math.min(...away));
            }"""
        )
        assert at == int(voice) - 1
        checked += 1
    assert checked


def level(tab) -> float:
    """Return the highest level of the sound within two seconds."""
    highest = 0.0
    for _ in range(20):
        highest = max(highest, tab.evaluate("window.scoregatePlayer.level()"))
        tab.wait_for_timeout(100)
    return highest


def assert_heard(tab) -> None:
    """Wait until something is heard; on a busy machine the font takes its time to load."""
    tab.wait_for_function("() => window.scoregatePlayer.level() > 0.001")


def assert_silent_while_playing(tab) -> None:
    """Wait until nothing is heard for two seconds, and see that the piece still plays."""
    # A busy machine renders sound late: what was loud a moment ago may still be in the queue.
    limit = time.monotonic() + 30
    while level(tab) >= 0.0005:
        assert time.monotonic() < limit, "a muted voice is still heard"
    assert tab.locator('[data-play][aria-pressed="true"]').count() == 1


def slowest(tab) -> None:
    """Set the lowest tempo, so that a piece outlasts the waits of a busy machine."""
    tab.locator("[data-tempo]").evaluate(
        "(one) => { one.value = one.min; one.dispatchEvent(new Event('input')); }"
    )


def test_playing_sounds_and_the_cursor_follows_the_bars(tab):
    tab.goto("/pieces?verdict=passed")
    tab.locator("table.list th a").first.click()
    tab.locator("[data-play]:not([disabled])").wait_for()
    tab.keyboard.press(" ")
    assert_heard(tab)
    # A busy machine may look for the cursor when it has left a bar already.
    at = "+(document.querySelector('.measure > .now')?.parentNode.dataset.bar || 0)"
    tab.wait_for_function(f"() => {at} >= 2", timeout=20_000)
    reached = tab.evaluate(at)
    tab.wait_for_function(f"() => {at} > {reached}", timeout=20_000)
    tab.keyboard.press(" ")
    tab.locator('[data-play][aria-pressed="false"]').wait_for()
    tab.wait_for_function("() => window.scoregatePlayer.level() < 0.02")


def test_a_clicked_bar_is_where_it_starts_and_voices_can_be_muted(tab):
    tab.goto("/pieces?verdict=passed")
    tab.locator("table.list th a").first.click()
    tab.locator("[data-play]:not([disabled])").wait_for()
    slowest(tab)
    measure = tab.locator('.measure[data-bar="5"] > .bar-target')
    measure.wait_for(state="attached")
    measure.dispatch_event("click")
    tab.locator('.measure[data-bar="5"] > .now').wait_for()
    tab.locator('[data-play][aria-pressed="true"]').wait_for()
    assert_heard(tab)
    tab.locator(".voices summary").click()
    for button in tab.get_by_role("button", name=re.compile("^Mute")).all():
        button.click()
    assert_silent_while_playing(tab)
    tab.locator("[data-seek]").evaluate(
        "(seek) => { seek.value = seek.max * .7; seek.dispatchEvent(new Event('input')); }"
    )
    bar = int(tab.locator("[data-bar].quiet, output[data-bar]").first.inner_text().split()[1])
    assert bar > 5


def test_a_soloed_voice_is_the_only_one_that_sounds(tab):
    tab.goto("/pieces?verdict=passed")
    tab.locator("table.list th a").first.click()
    tab.locator("[data-play]:not([disabled])").wait_for()
    tab.locator(".voices summary").click()
    tab.get_by_role("button", name=re.compile("^Solo")).first.click()
    tab.keyboard.press("Escape")
    slowest(tab)
    tab.locator("[data-play]").click()
    assert_heard(tab)
    # With the soloed voice muted as well nothing is left to be heard.
    tab.get_by_role("button", name=re.compile("^Mute")).first.click()
    assert_silent_while_playing(tab)
    tab.get_by_role("button", name=re.compile("^Solo")).first.click()
    assert_heard(tab)


def speed(tab) -> float:
    """Return how many seconds of the score are played in a second of time."""
    return tab.evaluate(
        """async () => {
          const at = () => +document.querySelector('[data-seek]').value;
          const [begin, from] = [performance.now(), at()];
          await new Promise((done) => setTimeout(done, 2000));
          return (at() - from) / (performance.now() - begin) * 1000;
        }"""
    )


def test_the_tempo_changes_while_it_plays(tab):
    tab.goto("/pieces?verdict=passed")
    tab.locator("table.list th a").first.click()
    tab.locator("[data-play]:not([disabled])").wait_for()
    tab.locator("[data-play]").click()
    assert_heard(tab)
    for percent in (50, 150):
        tab.locator("[data-tempo]").evaluate(
            f"(one) => {{ one.value = {percent}; one.dispatchEvent(new Event('input')); }}"
        )
        assert tab.locator("[data-tempo-text]").inner_text() == f"{percent} %"
        # Sound that a busy machine renders late makes one measurement too slow or too fast.
        assert any(abs(speed(tab) - percent / 100) < 0.2 for _ in range(5))


def test_ten_are_rated_by_keyboard_and_one_is_undone(tab, out):
    name = f"ten-{time.time_ns()}"
    tab.goto("/")
    tab.locator(".who summary").click()
    tab.get_by_label("Your name").fill(name)
    tab.get_by_role("button", name="Use this name").click()
    tab.goto("/review")
    for number in range(10):
        tab.locator(".rates").wait_for()
        before = tab.url
        tab.keyboard.press(str(number % 5 + 1))
        tab.wait_for_url(lambda url, before=before: url != before)
    assert events(tab, name, "rating") == [1, 2, 3, 4, 5] * 2
    tab.keyboard.press("u")
    tab.locator("[data-rate='5'][aria-pressed='false']").wait_for()
    tab.locator(".progress-line", has_text="9 rated").wait_for()
    tab.keyboard.press("y")
    tab.locator('[data-decide="keep"][aria-pressed="true"]').wait_for()
    tab.keyboard.press("t")
    tab.keyboard.type("fine ending")
    tab.keyboard.press("Enter")
    tab.locator(".tags", has_text="fine ending").wait_for()
    tab.keyboard.press("Escape")
    tab.keyboard.press("?")
    tab.locator("dialog[open]").wait_for()
    tab.keyboard.press("Escape")
    assert not tab.locator("dialog[open]").count()


def events(tab, reviewer: str, kind: str) -> list[int]:
    text = tab.request.get("/exports/events.jsonl").text()
    rows = [json.loads(line) for line in text.splitlines()]
    return [int(row["value"]) for row in rows
            if row["reviewer"] == reviewer and row["kind"] == kind]  # fmt: skip


def test_two_are_compared_blind_and_the_pair_is_exported(tab):
    before = len(tab.request.get("/exports/pairs.jsonl").text().splitlines())
    tab.goto("/ab")
    tab.locator(".blind .engraving").first.wait_for()
    assert "Chorale in" not in tab.locator("main").inner_text()
    tab.locator("[data-play]:not([disabled])").first.wait_for()
    tab.keyboard.press(" ")
    tab.locator('section[aria-labelledby="side-A"] [data-play][aria-pressed="true"]').wait_for()
    tab.keyboard.press("ArrowRight")
    tab.locator('section[aria-labelledby="side-B"] [data-play][aria-pressed="true"]').wait_for()
    assert_heard(tab)
    tab.keyboard.press("b")
    tab.get_by_text("1 compared by you").wait_for()
    after = tab.request.get("/exports/pairs.jsonl").text().splitlines()
    assert len(after) == before + 1
    pair = json.loads(after[-1])
    assert sorted(pair) == ["chosen", "prompt", "rejected"]
    assert pair["prompt"].startswith("%Baroque\n")
    tab.keyboard.press("u")
    tab.get_by_text("0 compared by you").wait_for()
    assert len(tab.request.get("/exports/pairs.jsonl").text().splitlines()) == before


def test_payloads_in_every_field_do_not_run(tab, address):
    """Titles and texts come with the archive; here every field that people fill in."""
    for payload in dashboard_archive.PAYLOADS:
        tab.goto(f"/pieces?q={urllib.request.quote(payload)}&tag={urllib.request.quote(payload)}")
        tab.goto("/pieces?sort=oldest")
        tab.locator("table.list th a").nth(2).click()
        tab.locator("#tag").fill(payload[:60])
        tab.get_by_role("button", name="Add").click()
        tab.locator("#note").fill(payload)
        tab.get_by_role("button", name="Save the note").click()
        tab.wait_for_timeout(100)
        tab.locator(".who summary").click()
        tab.get_by_label("Your name").fill(payload[:60])
        tab.get_by_role("button", name="Use this name").click()
        tab.wait_for_url(f"{address}/")
    tab.goto("/pieces?sort=oldest")
    places = [link.get_attribute("href") for link in tab.locator("table.list th a").all()[:5]]
    for place in [*places, "/", "/ab", "/compare", f"/runs/{dashboard_archive.RUNS[0]}", "/exports",
                  "/start?again=" + dashboard_archive.RUNS[0]]:  # fmt: skip
        tab.goto(place)
        tab.wait_for_timeout(300)
        for fold in tab.locator("details > summary").all():
            if fold.is_visible():
                fold.click()
        assert tab.evaluate("window.hacked") is None, place


def test_it_works_on_a_phone(chromium, address):
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, base_url=address, has_touch=True
    )
    tab = context.new_page()
    for place in ("/", "/pieces", "/review", "/ab", "/compare", "/start"):
        tab.goto(place)
        tab.wait_for_timeout(300)
        wide = tab.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390, f"{place} is {wide} pixels wide"
    tab.goto("/pieces?verdict=rejected")
    tab.locator("table.list th a").first.tap()
    box = tab.locator(".box.critical").first
    box.wait_for(state="attached")
    box.scroll_into_view_if_needed()
    box.tap()
    tab.locator(".finding-card:not([hidden])").wait_for()
    context.close()


def test_an_export_and_a_checked_piece_play_from_disk(chromium, out, tmp_path):
    """No server: the pages are opened as files, and sound comes from the script beside them."""
    scoregate = [sys.executable, "-m", "scoregate.flows.cli"]
    subprocess.run(
        [*scoregate, "dashboard", "--out", out, "--run", dashboard_archive.RUNS[0],
         "--export", tmp_path / "site"], check=True, capture_output=True,
    )  # fmt: skip
    (tmp_path / "fault.abc").write_text(dashboard_archive.raw_of(dashboard_archive.texts()[3]))
    checked = subprocess.run(
        [*scoregate, "check", tmp_path / "fault.abc", "--html", tmp_path / "fault.html"],
        check=False, capture_output=True,
    )  # fmt: skip
    assert checked.returncode == 1
    page = chromium.new_page(viewport={"width": 1280, "height": 700})
    outside: list[str] = []
    page.on("request", lambda sent: sent.url.startswith("http") and outside.append(sent.url))
    page.goto((tmp_path / "site" / "index.html").as_uri())
    page.get_by_role("link", name=re.compile("Chorale")).first.click()
    page.locator(".box").first.wait_for(state="attached")
    page.keyboard.press(" ")
    assert_heard(page)
    page.goto((tmp_path / "fault.html").as_uri())
    lit = page.locator(".box.critical.lit")
    lit.wait_for()
    assert lit.evaluate("box => box.parentNode.dataset.bar") == "7"
    area = lit.bounding_box()
    assert 0 <= area["y"] <= 700
    line = page.locator("#findings li.lit [data-line]").first
    line.click()
    cited = page.locator(f"#line-{line.get_attribute('data-line')}").inner_text()
    assert "F,,|" in cited
    assert page.evaluate("window.hacked") is None
    page.keyboard.press(" ")
    assert_heard(page)
    assert not outside
    page.close()

"""A whole review in headless Chromium, by keyboard: two readers, an adjudicator."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.slow

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-dev-shm-usage",
]
WAIT_MS = 120_000
LAPTOP, WALL = {"width": 1280, "height": 800}, {"width": 3840, "height": 2160}
CHARTER = """
title = "Simulated cohort"
seed = 11
reading = "paired"
time_order = "masked"
ai = "hidden-until-locked"
levels = ["L4-L5"]
people = [
  { name = "ann", role = "reader" },
  { name = "bob", role = "reader" },
  { name = "judy", role = "adjudicator" },
  { name = "lea", role = "lead" },
]
repeats = { share = 0.0, washout_days = 0.0 }
adjudication = { rule = "any-difference", view = "blind", minor_difference = "higher" }
access = { session_hours = 8.0, failed_logins = 5, lockout_minutes = 15.0 }
statistics = { resamples = 100, seed = 1, coverage = 0.95 }
"""


class Server:
    """`facetgrade review serve` as a program of its own."""

    def __init__(self, out, folder):
        (folder / "charter.toml").write_text(CHARTER, encoding="utf-8")
        self.environment = os.environ | {"HOME": str(folder)}
        self.database = folder / "review.sqlite"
        self.printed = folder / "printed.txt"
        options = ["--charter", folder / "charter.toml", "--port", "0"]
        options += [
            "--db",
            f"sqlite:///{self.database}",
            "--head",
            folder / "head.json",
        ]
        self.head = folder / "head.json"
        with self.printed.open("wb") as file:
            self.process = subprocess.Popen(
                self._command("serve", out, *options),
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self.environment,
            )

    def link(self, name):
        """Wait for the newest link of somebody."""
        for _ in range(600):
            text = self.printed.read_text(encoding="utf-8")
            found = re.findall(rf"^{name}: (http\S+)$", text, re.MULTILINE)
            if found and text.endswith("\n"):
                return found[-1]
            assert self.process.poll() is None, text
            time.sleep(0.2)
        raise AssertionError(text)

    def run(self, command, *arguments):
        """Run another command of the review on the same database."""
        words = self._command(command, self.database, "--head", self.head, *arguments)
        return subprocess.run(
            words, env=self.environment, capture_output=True, text=True, check=False
        )

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    @staticmethod
    def _command(name, *arguments):
        return [
            sys.executable,
            "-m",
            "facetgrade",
            "review",
            name,
            *map(str, arguments),
        ]


@pytest.fixture(scope="module")
def server(graded_cohort, tmp_path_factory):
    if not CHROMIUM.is_file():
        pytest.skip("Chromium is not installed")
    running = Server(graded_cohort.out, tmp_path_factory.mktemp("review"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=ARGUMENTS
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Folder for the screenshots, kept by pytest for a look."""
    return tmp_path_factory.mktemp("review-pages")


@pytest.fixture(scope="module")
def come_in(server, chromium):
    """Open a window of somebody; anything the page complains of fails the test."""
    complaints, windows = [], []

    def enter(name, size=LAPTOP):
        window = chromium.new_context(viewport=size)
        windows.append(window)
        page = window.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda line: complaints.append(line.text) if line.type == "error" else None,
        )
        page.on(
            "response",
            lambda got: complaints.append(got.url) if got.status >= 400 else None,
        )
        page.on("request", lambda sent: complaints.append(sent.url) if far(sent) else 0)
        page.goto(server.link(name))
        page.wait_for_url(re.compile(r"/(study)?$"))
        return page

    yield enter
    for window in windows:
        window.close()
    assert complaints == []


def far(request) -> bool:
    """Tell whether a request leaves this machine."""
    return not re.match(r"(http://127\.0\.0\.1:|data:|blob:)", request.url)


def is_ready(page, other_than=""):
    try:
        page.wait_for_selector(f"body[data-ready]:not([data-ready='{other_than}'])")
    except playwright.TimeoutError as error:
        raise AssertionError(
            f"{page.url} says {page.text_content('#status')!r}, key presses go to "
            f"{page.evaluate('() => document.activeElement.outerHTML.slice(0, 99)')}"
        ) from error
    return page.get_attribute("body", "data-ready")


def begin(page):
    """Press Enter once the work list has put the focus on its link; earlier is lost."""
    page.wait_for_selector(".button.primary:focus")
    page.keyboard.press("Enter")


def read_all(page, grades):
    """Read the whole list without a mouse; `grades` gives the keys of each joint."""
    begin(page)
    place, seen = "", []
    for keys in grades:
        place = is_ready(page, place)
        seen.append(place)
        for key in keys:
            page.keyboard.press(key)
        page.keyboard.press(" ")
    page.wait_for_url(re.compile(r"/$"))
    return seen


def test_a_review_from_first_key_to_export(server, come_in, pictures, tmp_path):
    ann = come_in("ann")
    ann.screenshot(path=pictures / "work-list.png")
    assert len(read_all(ann, ["12", "22", "33", "01"])) == 4
    assert "Everything is locked" in ann.content()
    bob = come_in("bob")
    timing = look_around(bob, pictures)
    read_all_open(bob, ["22", "33", "01"])
    judy = come_in("judy")
    needed = judy.locator(".joint-link").count()
    read_all(judy, ["11"] * needed)
    judy.screenshot(path=pictures / "adjudicator-done.png")
    lea = come_in("lea")
    lea.screenshot(path=pictures / "study.png", full_page=True)
    shown = lea.locator("table.numbers").first.inner_text()
    lea.goto(lea.url.replace("/study", "/gallery"))
    lea.screenshot(path=pictures / "gallery.png")
    assert server.run("verify").returncode == 0
    assert server.run("export", "-o", tmp_path).returncode == 0
    check_export(tmp_path, shown)
    (pictures / "timing.json").write_text(json.dumps(timing), encoding="utf-8")


def look_around(page, pictures):
    """Use every key of the reading page, then lock the first joint with `u`."""
    begin(page)
    place = is_ready(page)
    page.screenshot(path=pictures / "reading.png")
    keys = ["ArrowUp", "ArrowDown", "PageUp", "p", "s", "v", "w", "Shift+W", "+", "r"]
    keys += ["m", "Shift+ArrowRight", "Shift+ArrowDown", "m", "h", "h", "o", "b", "a"]
    for key in keys:
        page.keyboard.press(key)
    assert page.text_content("#distance") == "0.8 mm"  # 0.6 mm right, 0.6 mm down
    page.keyboard.press(" ")
    assert "first" in page.text_content("#status")
    page.keyboard.press("?")
    page.screenshot(path=pictures / "help.png")
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    page.screenshot(path=pictures / "reasons.png")
    page.keyboard.press("4")
    chosen = page.locator(".slot[data-slot=A] .chosen", has_text="motion")
    chosen.wait_for()
    page.keyboard.press("2")
    page.wait_for_selector("body[data-prefetched]")
    page.wait_for_selector("#lock:not([disabled])")
    page.keyboard.press(" ")
    place = is_ready(page, place)
    page.keyboard.press("Backspace")
    is_ready(page, place)
    page.wait_for_selector("#ai-list section")
    page.screenshot(path=pictures / "locked-with-result.png")
    return page.evaluate("() => window.facetgradeTiming.joints")


def read_all_open(page, grades):
    """Go on from a locked joint to the end."""
    for keys in grades:
        place = page.get_attribute("body", "data-ready")
        if "locked" in (page.get_attribute("body", "class") or "").split():
            page.keyboard.press(" ")
            is_ready(page, place)
        place = page.get_attribute("body", "data-ready")
        for key in keys:
            page.keyboard.press(key)
        page.keyboard.press(" ")
        if keys is not grades[-1]:
            is_ready(page, place)
    page.wait_for_url(re.compile(r"/$"))


def check_export(folder, shown):
    """The export holds every read once, and its kappa is the one on the page."""
    from sklearn.metrics import cohen_kappa_score

    with (folder / "reads.csv").open(encoding="utf-8", newline="") as file:
        reads = list(csv.DictReader(file))
    by_place = {}
    for one in reads:
        place = (one["patient"], one["visit"], one["level"], one["side"])
        by_place.setdefault(place, {})[one["reader"]] = one["grade"]
    assert len(by_place) == 8
    assert sum(one["reader"] in ("ann", "bob") for one in reads) == 16
    pairs = [
        (int(one["ann"]), int(one["bob"]))
        for one in by_place.values()
        if one["ann"].isdigit() and one["bob"].isdigit()
    ]
    kappa = cohen_kappa_score(
        *zip(*pairs, strict=True), weights="quadratic", labels=range(5)
    )
    assert f"{kappa:.2f}" in shown
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        results = list(csv.DictReader(file))
    assert len(results) == 8
    assert all(one["basis"] in ("agreed", "adjudicated") for one in results)


@pytest.mark.parametrize("size", [LAPTOP, WALL], ids=["1280x800", "3840x2160"])
def test_pages_fit_the_screen(come_in, pictures, size):
    page = come_in("ann", size)
    page.locator(".joint-link").first.click()
    is_ready(page)
    page.screenshot(path=pictures / f"reading-{size['width']}.png")
    scrolled = page.evaluate(
        "() => [document.documentElement.scrollWidth, "
        "document.documentElement.scrollHeight]"
    )
    assert scrolled == [size["width"], size["height"]]
    boxes = [
        page.locator(".joint.front .viewport").nth(k).bounding_box() for k in range(4)
    ]
    assert min(box["width"] for box in boxes) > 0.3 * size["width"]


def test_everything_that_can_be_pressed_has_a_name(come_in):
    page = come_in("ann")
    page.locator(".joint-link").first.click()
    is_ready(page)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, a, input, textarea, canvas")]
        .filter((one) => !(one.ariaLabel || one.textContent.trim() ||
          one.labels?.length || one.title)).map((one) => one.outerHTML)"""
    )
    assert nameless == []

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from facetgrade.report import Failure, RunRecord, StudyEntry, study_entry
from facetgrade.report.html import render_report
from facetgrade.report.index import render_index
from facetgrade.report.tables import COLUMNS
from facetgrade.scouts import ScoutReading, ScoutVerdict

VOID = {"meta", "input", "br", "link", "img", "hr"}


class Page(HTMLParser):
    """Elements, attributes and text of a page; checks that tags nest."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))

    def attributes(self, name):
        return [attrs[name] for _, attrs in self.tags if name in attrs]


@pytest.fixture(scope="module")
def page(written_folder):
    return Page((written_folder / "report.html").read_text(encoding="utf-8"))


def index_page(phantom, *entries, failures=()):
    run = RunRecord(
        started_at="2024-05-17T10:00:00+00:00",
        finished_at="2024-05-17T10:01:00+00:00",
        inputs=(),
        studies=entries,
        failures=failures,
        stage_seconds={},
        context=phantom.context(),
    )
    return Page(render_index(run))


def entry(name, *grades):
    sides = ("left", "right")
    rows = tuple(
        {
            **dict.fromkeys(COLUMNS, ""),
            "level": "L4-L5",
            "side": side,
            "grade": grade,
            "status": "graded" if grade else "ungradable",
        }
        for side, grade in zip(sides, grades, strict=True)
    )
    return StudyEntry(
        folder=name, source=name, study_uid="1", content_sha256="", rows=rows
    )


def test_every_tag_is_closed(page):
    assert page.open == []


def test_the_page_needs_no_network_and_runs_no_script(page):
    assert not [tag for tag, _ in page.tags if tag in {"script", "link", "iframe"}]
    links = page.attributes("href") + page.attributes("src")
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in links)


def test_text_from_the_data_is_escaped(page, written_folder):
    html = (written_folder / "report.html").read_text(encoding="utf-8")

    assert "<script" not in html
    assert "<script>alert('STIR')</script>" in page.text


def test_a_hostile_folder_name_is_escaped(phantom):
    report = replace(phantom.report(()), source='"><img src=x onerror=alert(1)>')
    study = replace(phantom.study(), series=())

    html = render_report(
        report, study, context=phantom.context(), settings=phantom.SETTINGS
    )

    assert "<img" not in html
    assert not Page(html).attributes("onerror")


def test_every_requested_joint_has_a_card(page):
    cards = [a["id"] for tag, a in page.tags if tag == "article"]

    assert cards[:2] == ["L1-L2-left", "L1-L2-right"]
    assert len(cards) == 10


def test_research_use_is_stated_at_the_top(page):
    assert page.text.index("Research use only") < page.text.index("Summary")


def test_reason_and_flags_are_explained_in_words(page):
    assert "The sacrum is not in view." in page.text
    assert "the perimeter fraction is an approximation" in page.text
    assert "No fat-suppressed fluid-sensitive or post-contrast series" in page.text


def test_the_trace_of_the_grade_is_shown(page):
    assert "Extracapsular signal over 81% of the perimeter: grade 4." in page.text


def test_alternative_numbering_and_rejected_series_are_shown(page):
    assert "best alternative (11 %)" in page.text
    assert "fewer than 5 slices" in page.text
    assert "Inversion time 150 ms." in page.text


def test_a_joint_is_shown_in_three_planes(page):
    labels = [
        label
        for label in page.attributes("aria-label")
        if label.startswith("L4-L5 right,")
    ]

    assert [label.split(", ")[1] for label in labels[:3]] == [
        "axial",
        "sagittal",
        "coronal",
    ]


def test_the_page_is_small(written_folder):
    assert (written_folder / "report.html").stat().st_size < 3e6


def test_a_study_without_any_finding_has_a_page(phantom):
    empty = replace(
        phantom.localization(), vertebrae=(), joints=(), alternative=(), notes=()
    )
    report = replace(phantom.report(()), localization=empty, subject="", date="")
    study = replace(phantom.study(), series=(), rejected=(), notes=())

    html = render_report(
        report, study, context=phantom.context(), settings=phantom.SETTINGS
    )

    assert "No usable series." in Page(html).text


def test_the_page_says_that_a_scout_was_read_for_the_numbering(phantom):
    study = phantom.study()
    scout = replace(
        study.series[1], uid="1.2.3.8", description="Sag Loc", evidence=("localizer",)
    )
    reading = ScoutReading((scout.uid,), ScoutVerdict.DISAGREES)
    report = phantom.report()
    report = replace(report, localization=replace(report.localization, scout=reading))

    html = render_report(
        report,
        replace(study, scouts=(scout,)),
        context=phantom.context(),
        settings=phantom.SETTINGS,
    )

    text = Page(html).text
    assert "The scout shows another numbering (Sag Loc)." in text
    assert "level numbering only" in text


def test_a_joint_without_any_sector_has_a_card(phantom):
    outcome = phantom.outcomes()[6]
    extents = replace(
        outcome.best.extents, sector_map=np.zeros((0, 72), np.int8), cyst_mm3=130.0
    )
    graded = replace(outcome, best=replace(outcome.best, extents=extents))

    html = render_report(
        phantom.report((graded,)),
        phantom.study(),
        context=phantom.context(),
        settings=phantom.SETTINGS,
    )

    text = Page(html).text
    assert "Unrolled perimeter" not in text
    assert "130 mm³" in text


def test_index_lists_the_worst_study_first(phantom):
    page = index_page(
        phantom, entry("mild", "1", "1"), entry("none", "", ""), entry("bad", "0", "4")
    )

    assert [h for h in page.attributes("href") if h.endswith("report.html")] == [
        "bad/report.html",
        "mild/report.html",
        "none/report.html",
    ]


def test_index_links_survive_odd_folder_names(phantom):
    page = index_page(phantom, entry("a#b %?", "1", "2"))

    assert "a%23b%20%25%3F/report.html" in page.attributes("href")


def test_index_names_failures(phantom):
    failure = Failure(source="<broken>", message="no slices & no hope")

    page = index_page(phantom, failures=(failure,))

    assert "<broken>" in page.text
    assert "no slices & no hope" in page.text


def test_index_shows_the_study_that_was_just_written(phantom, phantom_study, tmp_path):
    made = study_entry(
        phantom.report(), phantom_study, tmp_path / "studies" / "ring_01", tmp_path
    )

    page = index_page(phantom, made)

    assert "studies/ring_01/report.html#L4-L5-right" in page.attributes("href")

"""Two simulated patients at two dates, as DICOM and graded, and their review."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pytest

pytest.importorskip("fastapi")

READERS = {
    "ann": "reader",
    "bob": "reader",
    "judy": "adjudicator",
    "lea": "lead",
}
DATES = {
    1: (date(2019, 3, 7), date(2020, 4, 11)),
    2: (date(2018, 9, 21), date(2019, 8, 2)),
}


@pytest.fixture(scope="session")
def graded_cohort(tmp_path_factory):
    """Folder as `facetgrade grade` writes it, and what must never leave it."""
    from facetgrade.anatomy import Level
    from facetgrade.report import write_study
    from facetgrade.report.context import RunInput, RunRecord
    from facetgrade.report.write import study_entry, write_run
    from tests.exchange import builders as exchange
    from tests.report import builders as phantom

    plain = phantom.SETTINGS.model_copy(
        update={"pixel_mm": 2.0, "max_pictures_per_joint": 1}
    )
    root = tmp_path_factory.mktemp("cohort")
    out, entries, secrets = root / "graded-out", [], {str(root)}
    for number, days in DATES.items():
        for visit, day in zip(("earlier", "later"), days, strict=True):
            folder = root / "archive" / f"scan-{number}-{visit}"
            exchange.write_phantom(
                folder,
                patient=exchange.simulated_patient(number),
                day=day,
                seed=10 * number + len(visit),
            )
            files, study = exchange.load(folder)
            study = replace(study, source=f"scan-{number}-{visit}")
            report = exchange.report_on(study)
            read = [o for o in report.outcomes if o.joint.level is Level.L4_L5]
            report = replace(report, source=study.source, outcomes=tuple(read))
            place = out / "studies" / study.source
            write_study(
                report,
                study,
                place,
                context=phantom.context(),
                settings=plain,
            )
            entries.append(study_entry(report, study, place, out))
            secrets |= hidden_texts(study, files, day)
    run = RunRecord(
        started_at="2026-01-01T00:00:00+00:00",
        finished_at="2026-01-01T00:01:00+00:00",
        inputs=(RunInput(path=str(root / "archive")),),
        studies=tuple(entries),
        failures=(),
        stage_seconds={},
        context=phantom.context(),
    )
    write_run(out, run)
    return SimpleNamespace(out=out, secrets=secrets)


def hidden_texts(study, files, day) -> set[str]:
    """Collect what a blinded page must not hold: UIDs, names, dates, places."""
    texts = {study.uid, study.subject, study.source, "scan-", "studies/", "archive"}
    texts |= {study.content_sha256, "baseline", "followup", "follow-up"}
    texts |= {day.isoformat(), f"{day:%Y%m%d}", f"{day:%d.%m.%Y}", f"{day:%m/%d/%Y}"}
    texts |= {"SIM^", "SIM-000", str(day.year)}
    for series in study.series:
        texts |= {series.uid, *(u for s in series.stacks for u in s.instance_uids)}
        texts.add(series.description)
    texts |= {path.name for path in map(_path, files.files)}
    return {text for text in texts if text}


def _path(file):
    return file.path if hasattr(file, "path") else file


@pytest.fixture
def open_desk(graded_cohort, database_folder, tmp_path, review):
    """Open a review of the cohort, with changes to the charter."""
    from facetgrade.compare.graded import ImageSearch
    from facetgrade.compare.settings import CompareSettings
    from facetgrade.config import read_config, read_shipped
    from facetgrade.review.accounts import Accounts
    from facetgrade.review.cases import find_cases
    from facetgrade.review.store import open_store
    from facetgrade.review.web.desk import Desk
    from facetgrade.review.web.joint_images import JointImages
    from tests.exchange.builders import PRIVACY

    opened = []

    def run(**changes):
        charter = review.charter(people=dict(READERS), **changes)
        store = open_store(
            f"sqlite:///{database_folder / 'web.sqlite'}",
            key_file=tmp_path / "audit.key",
            head_file=database_folder / "web-head.json",
        )
        opened.append(store)
        found = find_cases(graded_cohort.out, charter)
        store.begin(charter, found.cases, review.SYSTEM)
        config = read_config()
        compare = read_shipped("configs/compare.toml", CompareSettings)
        return Desk(
            store=store,
            accounts=Accounts(store.trail, charter.access),
            charter=charter,
            images=JointImages(
                graded_cohort.out,
                ImageSearch(config.ingest, PRIVACY, ()),
                compare.registration,
                graded_cohort.out / "images",
            ),
            rules=config.grade,
            software="1.2.3",
        )

    yield run
    for store in opened:
        store.close()


@pytest.fixture
def visitors():
    """Make browsers: `visitors(desk)` comes in as anybody of the charter."""
    from fastapi.testclient import TestClient

    from facetgrade.review.web.app import create_app
    from facetgrade.review.web.entrance import Links

    def make(desk, *, by_link=True):
        links = {}
        people = desk.charter.people if by_link else ()
        app = create_app(
            desk,
            links=Links(people, lambda link: links.update({link.person.name: link})),
            hosts=["testserver"],
        )

        def visit(name=None):
            client = TestClient(app, follow_redirects=False)
            client.link = links.get(name)
            if name is not None:
                client.welcome = client.get(f"/enter?token={client.link.secret}")
                assert client.welcome.status_code == 200
                client.headers["X-CSRF-Token"] = csrf_of(client.welcome.text)
            return client

        return visit

    return make


def csrf_of(page: str) -> str:
    """Read the secret that a page carries."""
    return page.split('data-csrf="')[1].split('"')[0]


@pytest.fixture(scope="session")
def read_body():
    """Make the body of a read."""
    import itertools

    keys = itertools.count(1)

    def make(a=1, b=2, **changes):
        grades = [("A", a), ("B", b)]
        findings = [
            {"slot": s, "grade": g, "reason": "" if g is not None else "motion"}
            for s, g in grades
        ]
        return {"key": f"{next(keys):032x}", "findings": findings} | changes

    return make

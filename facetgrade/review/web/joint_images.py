"""Image blocks of joints: sampled once, kept in a folder, ready to be read."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from facetgrade.anatomy import FacetJoint
from facetgrade.compare.aligned import align_joint
from facetgrade.compare.graded import GradedStudy, ImageSearch, graded_studies
from facetgrade.compare.identity import TimePoint
from facetgrade.compare.registration import JointView, register_joint
from facetgrade.compare.settings import RegistrationSettings
from facetgrade.errors import FacetGradeError
from facetgrade.findings import Outcome, StudyReport
from facetgrade.geometry import VolumeGeometry
from facetgrade.report.atomic import write_bytes, write_text
from facetgrade.report.read_study import read_study_report
from facetgrade.review.records import Case, StudyRef, Visit
from facetgrade.review.web.patches import (
    SHAPE,
    SPACING_MM,
    View,
    neutral_nifti,
    patch_grid,
    sample_view,
    views_of,
)
from facetgrade.study import Plane, Study
from facetgrade.study import Sequence as Contrast

log = logging.getLogger(__name__)

_VERSION = 2
_STUDIES_KEPT = 4
_REPORTS_KEPT = 32
_LONGEST_WAIT_S = 60.0
_PAUSE_S = 0.02


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class VisitImages:
    """What one examination shows of a joint.

    Attributes
    ----------
    grid : VolumeGeometry
        The common grid in the patient space of this examination.
    views : tuple of View
        What can be shown, in the order of the page.
    """

    grid: VolumeGeometry
    views: tuple[View, ...]


class _Asked:
    """Counts who waits for images, so that preparing ahead steps aside."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        self._add(1)

    def __exit__(self, *_: object) -> None:
        self._add(-1)

    def _add(self, step: int) -> None:
        with self._changed:
            self._count += step
            self._changed.notify_all()

    def wait_until_nobody(self) -> None:
        """Wait until nobody waits for images."""
        with self._changed:
            self._changed.wait_for(lambda: self._count == 0, timeout=_LONGEST_WAIT_S)


class JointImages:
    """Samples, keeps and hands out the image blocks of all cases.

    Parameters
    ----------
    out : Path
        Folder that is reviewed.
    search : ImageSearch
        Finds the images of graded studies.
    settings : RegistrationSettings
        How two examinations are laid upon each other.
    cache : Path
        Folder for the blocks; may be removed at any time.
    """

    def __init__(
        self,
        out: Path,
        search: ImageSearch,
        settings: RegistrationSettings,
        cache: Path,
    ) -> None:
        self._out = out
        self._search = search
        self._settings = settings
        self._cache = cache
        self._lock = threading.RLock()
        self._reading = threading.Lock()
        self._asked = _Asked()
        self._studies: OrderedDict[str, Study] = OrderedDict()
        self._reports: OrderedDict[str, StudyReport] = OrderedDict()
        self._prepared: dict[tuple[str, FacetJoint], dict[Visit, VisitImages]] = {}

    def visits(self, case: Case, joint: FacetJoint) -> Mapping[Visit, VisitImages]:
        """Return what there is to show of a joint; lays its grids when it is new.

        Raises
        ------
        IngestError
            If the images are not found any more.
        OutputError
            If the results of grading are damaged.
        """
        key = (case.case_id, joint)
        if key not in self._prepared:
            with self._asked, self._lock:
                if key not in self._prepared:
                    known = self._read(case, joint)
                    self._prepared[key] = known or self._make(case, joint)
        return self._prepared[key]

    def block(self, case: Case, joint: FacetJoint, visit: Visit, view: View) -> bytes:
        """Return one image as ``.nii.gz``; samples it when it is new.

        Raises
        ------
        FacetGradeError
            As `visits`.
        """
        images = self.visits(case, joint)[visit]
        path = self._block_path(case, joint, visit, view)
        if not path.is_file():
            with self._asked, self._lock:
                if not path.is_file():
                    study = self._study(case, visit)
                    voxels = sample_view(study, view, images.grid)
                    write_bytes(path, neutral_nifti(voxels))
        return path.read_bytes()

    def outcome(self, case: Case, joint: FacetJoint, visit: Visit) -> Outcome | None:
        """Return what facetgrade found at one visit."""
        study = next(one for one in case.studies if one.visit is visit)
        return _outcome(self._report(study), joint)

    def prepare(
        self, places: Iterable[tuple[Case, FacetJoint]], stop: Callable[[], bool]
    ) -> int:
        """Prepare joints in turn, letting those that somebody opens go first.

        Parameters
        ----------
        places : iterable of (Case, FacetJoint)
            What will be read. What fails is logged and tried again when it is read.
        stop : callable
            Asked before each image.

        Returns
        -------
        int
            Joints that are ready.
        """
        ready = 0
        for case, joint in places:
            time.sleep(_PAUSE_S)
            try:
                for visit, images in self.visits(case, joint).items():
                    for view in images.views:
                        self._asked.wait_until_nobody()
                        if stop():
                            return ready
                        self.block(case, joint, visit, view)
                ready += 1
            except FacetGradeError as error:
                log.warning("%s of a case cannot be shown: %s", joint, error)
        return ready

    def _folder(self, case: Case, joint: FacetJoint) -> Path:
        """Name the folder of a joint after everything that its blocks depend on."""
        parts = [str(_VERSION), str(SPACING_MM), str(SHAPE), str(joint)]
        parts += [self._settings.model_dump_json()]
        for study in case.studies:
            record = self._out / study.folder / "study.json"
            parts.append(sha256(record.read_bytes()).hexdigest())
        return self._cache / sha256("\n".join(parts).encode()).hexdigest()[:32]

    def _block_path(
        self, case: Case, joint: FacetJoint, visit: Visit, view: View
    ) -> Path:
        name = f"{visit}-{view.contrast}-{view.plane}.nii.gz"
        return self._folder(case, joint) / name

    def _read(self, case: Case, joint: FacetJoint) -> dict[Visit, VisitImages] | None:
        """Read what an earlier run prepared."""
        path = self._folder(case, joint) / "joint.json"
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            return {Visit(name): _restored(one) for name, one in record.items()}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _make(self, case: Case, joint: FacetJoint) -> dict[Visit, VisitImages]:
        """Lay the grids and keep them."""
        found = {
            visit: VisitImages(
                grid=grid, views=views_of(self._study(case, visit), grid)
            )
            for visit, grid in self._grids(case, joint).items()
        }
        record = {visit.value: _record(one) for visit, one in found.items()}
        write_text(self._folder(case, joint) / "joint.json", json.dumps(record))
        return found

    def _grids(self, case: Case, joint: FacetJoint) -> dict[Visit, VolumeGeometry]:
        """Lay the common grid into the patient space of each visit."""
        outcomes = {
            study.visit: _outcome(self._report(study), joint) for study in case.studies
        }
        located = {
            visit: outcome
            for visit, outcome in outcomes.items()
            if outcome is not None and outcome.location is not None
        }
        if len(located) == 2:
            return self._halfway(case, located)
        return {
            visit: patch_grid(outcome.location.frame)
            for visit, outcome in located.items()
            if outcome.location is not None
        }

    def _halfway(
        self, case: Case, located: Mapping[Visit, Outcome]
    ) -> dict[Visit, VolumeGeometry]:
        """Move both time points by half of the motion between them."""
        before, after = located
        points = [
            TimePoint(study=self._study(case, one.visit), report=self._report(one))
            for one in case.studies
        ]
        outcomes = (located[before], located[after])
        views = [
            JointView(
                study=point.study, frame=outcome.location.frame, masks=outcome.masks
            )
            for point, outcome in zip(points, outcomes, strict=True)
            if outcome.location is not None
        ]
        registration = register_joint(views[0], views[1], self._settings)
        aligned = align_joint(points[0], points[1], outcomes, registration)
        if aligned is None:
            return {}
        grid = patch_grid(aligned.frame)
        return {
            before: aligned.baseline.to_common.inverse().move_grid(grid),
            after: aligned.followup.to_common.inverse().move_grid(grid),
        }

    def _graded(self, study: StudyRef) -> GradedStudy:
        return graded_studies(self._out / study.folder)[0]

    def _study(self, case: Case, visit: Visit) -> Study:
        """Load the images of one visit; the last few stay in memory."""
        reference = next(one for one in case.studies if one.visit is visit)
        if reference.folder not in self._studies:
            self._studies[reference.folder] = self._search.load(self._graded(reference))
            if len(self._studies) > _STUDIES_KEPT:
                self._studies.popitem(last=False)
        return self._studies[reference.folder]

    def _report(self, study: StudyRef) -> StudyReport:
        """Read the findings of one visit; the last few stay in memory."""
        with self._reading:
            if study.folder not in self._reports:
                report = read_study_report(self._out / study.folder)
                self._reports[study.folder] = report
                if len(self._reports) > _REPORTS_KEPT:
                    self._reports.popitem(last=False)
            return self._reports[study.folder]


def union_of_views(visits: Iterable[VisitImages]) -> tuple[View, ...]:
    """Return the views that any visit has, in the order of the page."""
    views: set[View] = set()
    for visit in visits:
        views.update(visit.views)
    return tuple(sorted(views, key=lambda view: view.rank))


def _outcome(report: StudyReport, joint: FacetJoint) -> Outcome | None:
    return next((one for one in report.outcomes if one.joint == joint), None)


def _record(images: VisitImages) -> dict[str, Any]:
    return {
        "index_to_lps": images.grid.index_to_lps.tolist(),
        "views": [[view.contrast.value, view.plane.value] for view in images.views],
    }


def _restored(record: Mapping[str, Any]) -> VisitImages:
    pairs: Sequence[Sequence[str]] = record["views"]
    return VisitImages(
        grid=VolumeGeometry(
            shape=SHAPE, index_to_lps=np.array(record["index_to_lps"], float)
        ),
        views=tuple(View(Contrast(one), Plane(two)) for one, two in pairs),
    )

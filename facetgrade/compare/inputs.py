"""What the user names, to graded pairs: grades what is not graded yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facetgrade.compare.changes import Obstacle
from facetgrade.compare.graded import (
    GradedStudy,
    ImageSearch,
    graded_studies,
    is_graded,
)
from facetgrade.compare.job import FoundPair
from facetgrade.compare.pairing import (
    Examination,
    Pairing,
    Unpaired,
    name_pair,
    pair_by_date,
    pair_by_subject,
)
from facetgrade.compare.pairs_table import NamedPair
from facetgrade.errors import OutputError
from facetgrade.ingest import Privacy

GRADED = "graded"
NO_STUDY = "no-study"
SEVERAL_STUDIES = "several-studies"

GradeInto = Callable[[Sequence[Path], Path], None]


@dataclass(frozen=True, eq=False, slots=True)
class GradedInputs:
    """The graded studies of every place that the user named.

    Attributes
    ----------
    by_path : dict of Path to list of GradedStudy
        Studies of each place, by source; empty where none could be graded.
    """

    by_path: dict[Path, list[GradedStudy]]

    def named_pairs(self, pairs: Sequence[NamedPair]) -> tuple[FoundPair, ...]:
        """Find the studies of the pairs of pairs.csv."""
        return tuple(self._named(pair, number) for number, pair in enumerate(pairs, 1))

    def two_groups(
        self, baseline: Path, followup: Path
    ) -> tuple[tuple[FoundPair, ...], tuple[Unpaired, ...]]:
        """Pair the studies of BASELINE with those of FOLLOWUP by subject."""
        first, second = self.by_path[baseline], self.by_path[followup]
        if not first or not second:
            pair = NamedPair(pair="", subject="", baseline=baseline, followup=followup)
            return (self._named(pair, 1),), ()
        return self._found(
            pair_by_subject(
                [one.examination for one in first], [one.examination for one in second]
            ),
            [*first, *second],
        )

    def by_date(
        self, paths: Iterable[Path]
    ) -> tuple[tuple[FoundPair, ...], tuple[Unpaired, ...]]:
        """Pair the first and last study of every subject."""
        studies = {str(one.folder): one for path in paths for one in self.by_path[path]}
        return self._found(
            pair_by_date([one.examination for one in studies.values()]),
            list(studies.values()),
        )

    def _found(
        self, pairing: Pairing, studies: Sequence[GradedStudy]
    ) -> tuple[tuple[FoundPair, ...], tuple[Unpaired, ...]]:
        """Put the graded studies beside their names."""
        by_key = {one.examination.key: one for one in studies}
        found = tuple(
            FoundPair(
                pair=pair,
                baseline=by_key[pair.baseline.key],
                followup=by_key[pair.followup.key],
            )
            for pair in pairing.pairs
        )
        return found, pairing.unpaired

    def _named(self, named: NamedPair, number: int) -> FoundPair:
        """Find the two studies of one pair; each place must hold exactly one."""
        places = (named.baseline, named.followup)
        studies = [self.by_path[place] for place in places]
        single = [own[0] if len(own) == 1 else None for own in studies]
        problems = [
            _why_not_one(place, own)
            for place, own in zip(places, studies, strict=True)
            if len(own) != 1
        ]
        first, second = (
            one.examination if one else _unknown(place)
            for one, place in zip(single, places, strict=True)
        )
        pair = name_pair(named.pair, named.subject, first, second)
        if not named.pair and not pair.subject:
            pair = name_pair(str(number), named.subject, first, second)
        return FoundPair(
            pair=pair,
            baseline=single[0],
            followup=single[1],
            problem=problems[0] if problems else None,
        )


def graded_inputs(
    paths: Sequence[Path],
    out: Path,
    *,
    grade_into: GradeInto,
    images: ImageSearch,
    privacy: Privacy,
) -> GradedInputs:
    """Grade the places that are not graded yet, and list the studies of all.

    Parameters
    ----------
    paths : sequence of Path
        Graded folders, or anything that can be graded.
    out : Path
        Output folder; what is graded on the fly is kept in its folder ``graded``.
    grade_into : callable
        Grades some places into a folder.
    images : ImageSearch
        Tells which studies a place holds.
    privacy : Privacy
        How UIDs are named.

    Raises
    ------
    IngestError
        If nothing that is to be graded holds a study.
    OutputError
        If a graded folder is damaged.
    """
    places = list(dict.fromkeys(paths))
    raw = [place for place in places if not is_graded(place)]
    made: list[GradedStudy] = []
    if raw:
        grade_into(raw, out / GRADED)
        made = _finished(out / GRADED)
    return GradedInputs(
        {
            place: (
                _studies_of(place, made, images, privacy)
                if place in raw
                else graded_studies(place)
            )
            for place in places
        }
    )


def _finished(folder: Path) -> list[GradedStudy]:
    try:
        return graded_studies(folder)
    except OutputError:
        return []


def _studies_of(
    place: Path, made: Sequence[GradedStudy], images: ImageSearch, privacy: Privacy
) -> list[GradedStudy]:
    """Choose the graded studies whose files lie in a place."""
    uids = {privacy.uid(files.study_uid) for files in images.files_in(place)}
    return [one for one in made if one.study_uid in uids]


def _why_not_one(place: Path, studies: Sequence[GradedStudy]) -> Obstacle:
    if not studies:
        return Obstacle(NO_STUDY, f"{place} holds no study that could be graded.")
    return Obstacle(
        SEVERAL_STUDIES,
        f"{place} holds {len(studies)} studies; name the folder of one.",
    )


def _unknown(place: Path) -> Examination:
    return Examination(key=str(place), source=place.as_posix(), subject="", date="")

"""Fetch studies from an archive, send results back, listen for studies."""

from facetgrade.pacs.connect import open_archive, silence_libraries
from facetgrade.pacs.patience import Patience
from facetgrade.pacs.places import Places
from facetgrade.pacs.pull import PullJob, TransferSummary, pull_studies
from facetgrade.pacs.push import push_results, push_study
from facetgrade.pacs.records import StudyQuery, read_list
from facetgrade.pacs.settings import PacsSettings, read_pacs

__all__ = [
    "PacsSettings",
    "Patience",
    "Places",
    "PullJob",
    "StudyQuery",
    "TransferSummary",
    "open_archive",
    "pull_studies",
    "push_results",
    "push_study",
    "read_list",
    "read_pacs",
    "silence_libraries",
]

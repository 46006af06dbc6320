"""Remove what identifies a patient from MR images, consistently over time."""

from facetgrade.deidentify.run import REPORT, deidentify_folder, report_record
from facetgrade.deidentify.settings import DeidentifySettings

__all__ = ["REPORT", "DeidentifySettings", "deidentify_folder", "report_record"]

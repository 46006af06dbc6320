"""Where received files go: folders by keyed pseudonyms, nothing of the patient."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256

from facetgrade.ingest import Privacy

UNKNOWN = "P-unknown"
_STUDY_DIGITS, _INSTANCE_DIGITS = 12, 24


@dataclass(frozen=True, slots=True)
class Places:
    """Names folders and files with the user's secret."""

    privacy: Privacy

    def subject(self, patient_id: str) -> str:
        """Name the folder of a patient as tables name the subject."""
        pseudonyms = Privacy(
            key=self.privacy.key, keep_patient_id=False, mask_uids=True
        )
        return pseudonyms.subject(patient_id) or UNKNOWN

    def study(self, study_uid: str) -> str:
        """Name the folder of a study."""
        return "S" + self._digest("study", study_uid)[:_STUDY_DIGITS].upper()

    def instance(self, instance_uid: str) -> str:
        """Name the file of an instance."""
        return self._digest("instance", instance_uid)[:_INSTANCE_DIGITS] + ".dcm"

    def _digest(self, purpose: str, uid: str) -> str:
        message = f"place\0{purpose}\0{uid}".encode(errors="replace")
        return hmac.new(self.privacy.key, message, sha256).hexdigest()

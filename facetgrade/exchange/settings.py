"""Settings of DICOM output: configs/exchange.toml."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from facetgrade.exchange.segments import SegmentKind

Lightness = Annotated[float, Field(ge=0.0, le=100.0)]
Opponent = Annotated[float, Field(ge=-128.0, le=127.0)]


class _Section(BaseModel):
    """Section whose keys are all required and all known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DicomSettings(_Section):
    """How DICOM SEG and SR are labelled.

    Attributes
    ----------
    manufacturer : str
        (0008,0070) of the objects.
    segmentation_series_number, report_series_number : int
        (0020,0011) of the series that hold them.
    colors : mapping of SegmentKind to tuple of float
        CIELab value in which viewers should show each kind of segment.
    """

    manufacturer: Annotated[str, Field(min_length=1, max_length=64)]
    segmentation_series_number: Annotated[int, Field(ge=1)]
    report_series_number: Annotated[int, Field(ge=1)]
    colors: dict[SegmentKind, tuple[Lightness, Opponent, Opponent]]

    @model_validator(mode="after")
    def _every_kind_has_a_color(self) -> DicomSettings:
        missing = sorted(set(SegmentKind) - set(self.colors))
        if missing:
            raise ValueError(f"colors lacks {', '.join(missing)}")
        return self


class ExchangeSettings(_Section):
    """The whole of exchange.toml."""

    dicom: DicomSettings

"""What each vendor writes about a series in words and defined terms."""

from __future__ import annotations

from dataclasses import dataclass

from facetgrade.simulate.protocols import FatSuppression, Protocol
from facetgrade.simulate.vendors.records import Habit
from facetgrade.study import Plane, Sequence

SCOUT = "scout"  # name of the protocol of localizers


@dataclass(frozen=True, kw_only=True, slots=True)
class SeriesTexts:
    """Descriptive header values of one series.

    Attributes
    ----------
    description : str
        SeriesDescription and ProtocolName.
    sequence_name : str
        SequenceName, empty where the vendor leaves it out.
    scanning_sequence, sequence_variant, scan_options, image_type : tuple of str
        Values of the multi-valued elements.
    """

    description: str
    sequence_name: str
    scanning_sequence: tuple[str, ...]
    sequence_variant: tuple[str, ...]
    scan_options: tuple[str, ...]
    image_type: tuple[str, ...]


def series_texts(protocol: Protocol, habit: Habit) -> SeriesTexts:
    """Describe a series as a vendor would.

    Parameters
    ----------
    protocol : Protocol
        Contrast, plane, fat suppression.
    habit : Habit
        Vendor; the enhanced habit writes like Philips, the stripped one tells
        only ``T1`` or ``T2``.
    """
    if protocol.name == SCOUT and habit is not Habit.STRIPPED:
        return _scout(protocol, habit)
    if habit is Habit.GE:
        return _ge(protocol)
    if habit in (Habit.PHILIPS, Habit.ENHANCED):
        return _philips(protocol)
    if habit is Habit.STRIPPED:
        return _stripped(protocol)
    return _siemens(protocol)


def weighting(protocol: Protocol) -> str:
    """Return ``t1`` or ``t2``."""
    t1 = protocol.sequence in (Sequence.T1, Sequence.T1_FS_POST)
    return "t1" if t1 else "t2"


def is_t1_flair(protocol: Protocol) -> bool:
    """Tell an inversion that darkens CSF and leaves fat bright."""
    stir = protocol.fat_suppression is FatSuppression.STIR
    return bool(protocol.ti_ms) and not stir and weighting(protocol) == "t1"


def _scanning_sequence(protocol: Protocol) -> tuple[str, ...]:
    """Spin echo, with inversion for STIR and T1-FLAIR."""
    return ("SE", "IR") if protocol.ti_ms else ("SE",)


def _scout(protocol: Protocol, habit: Habit) -> SeriesTexts:
    """Write ``localizer sag``, ``Sag Loc`` or ``SURVEY SAG``, by the image type too."""
    names = {Habit.SIEMENS: "localizer sag", Habit.GE: "Sag Loc"}
    return SeriesTexts(
        description=names.get(habit, "SURVEY SAG"),
        sequence_name="*h2d1_64" if habit is Habit.SIEMENS else "",
        scanning_sequence=_scanning_sequence(protocol),
        sequence_variant=("SK",),
        scan_options=(),
        image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"),
    )


def _siemens(protocol: Protocol) -> SeriesTexts:
    """Write ``t2_tirm_sag``, ``t1_tse_fs_tra_KM``, ``t1_tirm_sag_dark-fluid``."""
    suppression = protocol.fat_suppression
    plane = "sag" if protocol.plane is Plane.SAGITTAL else "tra"
    inverted = bool(protocol.ti_ms)  # STIR and T1-FLAIR are one sequence
    dixon = suppression is FatSuppression.DIXON_WATER
    words = [weighting(protocol), "tirm" if inverted else "tse"]
    words += ["dixon"] if dixon else []
    words += ["fs"] if suppression is FatSuppression.SPECTRAL else []
    words += [plane]
    words += ["KM"] if protocol.contrast_agent else []
    words += ["W"] if dixon else []
    words += ["dark-fluid"] if is_t1_flair(protocol) else []
    echo_train = protocol.echo_train_length
    return SeriesTexts(
        description="_".join(words),
        sequence_name=f"*{'tir' if inverted else 'tse'}2d1_{echo_train}",
        scanning_sequence=_scanning_sequence(protocol),
        sequence_variant=("SK", "SP", "OSP"),
        scan_options=("FS",) if suppression is FatSuppression.SPECTRAL else ("PFP",),
        image_type=("ORIGINAL", "PRIMARY", "M", "DIXON", "WATER")
        if dixon
        else ("ORIGINAL", "PRIMARY", "M", "ND"),
    )


def _ge(protocol: Protocol) -> SeriesTexts:
    """Write ``Sag T2 FRFSE``, ``Ax T1 FS +C``, ``Sag T1 FLAIR`` and the like."""
    suppression = protocol.fat_suppression
    plane = "Sag" if protocol.plane is Plane.SAGITTAL else "Ax"
    weight = weighting(protocol).upper()
    options = ["FAST_GEMS", "NPW", "TRF_GEMS", "FILTERED_GEMS"]
    if suppression is FatSuppression.STIR:
        text = f"{plane} STIR"
    elif suppression is FatSuppression.SPECTRAL:
        text = f"{plane} {weight} FS"
        options.append("FS")
    elif suppression is FatSuppression.DIXON_WATER:
        text = f"WATER: {plane} {weight} IDEAL"
    elif is_t1_flair(protocol):
        text = f"{plane} T1 FLAIR"
    else:
        text = f"{plane} {weight} {'FSE' if weight == 'T1' else 'FRFSE'}"
    return SeriesTexts(
        description=f"{text} +C" if protocol.contrast_agent else text,
        sequence_name="",
        scanning_sequence=_scanning_sequence(protocol)[::-1],
        sequence_variant=("SK", "OSP"),
        scan_options=tuple(options),
        image_type=("ORIGINAL", "PRIMARY", "OTHER"),
    )


def _philips(protocol: Protocol) -> SeriesTexts:
    """Write ``T2W_SPAIR TRA``, ``STIR_longTE SAG``, ``T1W_FLAIR SAG`` and the like."""
    suppression = protocol.fat_suppression
    plane = "SAG" if protocol.plane is Plane.SAGITTAL else "TRA"
    weight = weighting(protocol).upper()
    names = {
        FatSuppression.NONE: f"{weight}W_{'FLAIR' if is_t1_flair(protocol) else 'TSE'}",
        FatSuppression.SPECTRAL: f"{weight}W_SPAIR",
        FatSuppression.STIR: "STIR_longTE" if protocol.te_ms > 50 else "STIR_TSE",
        FatSuppression.DIXON_WATER: f"{weight}W_mDIXON_W",
    }
    text = f"{names[suppression]} {plane}"
    spectral = suppression is FatSuppression.SPECTRAL
    image_type = ("ORIGINAL", "PRIMARY", "M_SE", "M", "SE")
    if suppression is FatSuppression.DIXON_WATER:
        image_type = ("DERIVED", "PRIMARY", "W", "W", "DERIVED")
    return SeriesTexts(
        description=f"{text} GD" if protocol.contrast_agent else text,
        sequence_name="",
        scanning_sequence=("IR",) if protocol.ti_ms else ("SE",),
        sequence_variant=("SK",),
        scan_options=("FS", "OTHER") if spectral else ("OTHER",),
        image_type=image_type,
    )


def _stripped(protocol: Protocol) -> SeriesTexts:
    """Leave only the weighting, even of a fat-suppressed series."""
    return SeriesTexts(
        description=weighting(protocol).upper(),
        sequence_name="",
        scanning_sequence=("SE",),
        sequence_variant=("SK",),
        scan_options=(),
        image_type=("ORIGINAL", "PRIMARY"),
    )

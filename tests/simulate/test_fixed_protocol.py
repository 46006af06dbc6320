import numpy as np

from facetgrade.config import read_shipped
from facetgrade.simulate.fixed_protocol import one_protocol
from facetgrade.simulate.protocols import draw_protocol
from facetgrade.simulate.settings import SimulateSettings


def test_two_scans_share_everything_that_an_operator_sets():
    ranges = read_shipped("configs/simulate.toml", SimulateSettings)
    fixed = one_protocol(ranges, np.random.default_rng(3))
    rng = np.random.default_rng(4)
    for name, protocol in fixed.protocols.items():
        first, second = (
            draw_protocol(name, protocol, field_t=1.5, scanner=fixed.scanner, rng=rng)
            for _ in range(2)
        )
        for key in ("tr_ms", "te_ms", "fat_suppression", "slice_thickness_mm"):
            assert getattr(first, key) == getattr(second, key)
    assert len(fixed.scanner.field_t) == 1


def test_another_patient_has_another_protocol():
    ranges = read_shipped("configs/simulate.toml", SimulateSettings)
    times = {
        one_protocol(ranges, np.random.default_rng(seed))
        .protocols["sagittal_stir"]
        .te_ms
        for seed in range(3)
    }
    assert len(times) == 3

import base64
import io

import numpy as np
import pytest
from PIL import Image

from facetgrade.evaluate.figures import OUTLINE_COLORS, Slice, gallery_figure

SIDE = 60  # pixels of 1 mm


@pytest.mark.parametrize("kind", ["found", "true"])
def test_outlines_lie_on_what_they_outline(kind):
    # A gray box above the middle on the right; its outline must lie around it.
    image = np.zeros((SIDE, SIDE), np.float32)
    image[6:18, 34:52] = 0.5
    outlines = {"found": {}, "true": {}, kind: {"cyst": 2.0 * image}}
    pixels = drawn(Slice(title="axial", image=image, window=(0.0, 1.0), **outlines))

    black = np.argwhere((pixels < 40.0).all(axis=2))
    (top, left), (bottom, right) = black.min(axis=0), black.max(axis=0)
    color = OUTLINE_COLORS["cyst"]
    green = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)], float)
    found = np.argwhere(np.abs(pixels - green).sum(axis=2) < 150.0)
    found = found[found[:, 0] > top]  # the title is above
    rows = (found[:, 0] - top) * SIDE / (bottom - top)
    columns = (found[:, 1] - left) * SIDE / (right - left)
    assert rows.min() == pytest.approx(6.0, abs=1.5)
    assert rows.max() == pytest.approx(18.0, abs=1.5)
    assert columns.min() == pytest.approx(34.0, abs=1.5)
    assert columns.max() == pytest.approx(52.0, abs=1.5)


def drawn(one: Slice) -> np.ndarray:
    """Return the colors of a gallery picture."""
    uri = gallery_figure([one], float(SIDE))
    jpeg = base64.b64decode(uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"), float)

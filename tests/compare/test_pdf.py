import base64
import io

import pytest
from PIL import Image

from facetgrade.compare.pdf import page_pdf, printable


@pytest.fixture
def page():
    content = io.BytesIO()
    Image.new("L", (40, 40), 128).save(content, format="JPEG")
    uri = "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
    return (
        "<html><head></head><body><h1>Change</h1>"
        f'<svg class="image" viewBox="0 0 60 60"><image href="{uri}" width="60" '
        'height="60"/><path class="outline effusion" d="M1,1H9V9Z"/></svg>'
        "</body></html>"
    )


def test_a_page_is_printed_with_its_pictures(page):
    printed = page_pdf(page)
    assert printed.startswith(b"%PDF")
    # the JPEG itself is in the file, not a redrawing
    assert b"/DCTDecode" in printed


def test_drawings_get_the_style_for_paper(page):
    text = printable(page)
    drawing = text[text.index("<svg") :]
    assert drawing.index(".outline.effusion") < drawing.index("<image")
    assert "@page" in text[: text.index("</head>")]


def test_nothing_outside_the_page_is_fetched(tmp_path):
    secret = tmp_path / "secret.jpg"
    Image.new("L", (40, 40), 128).save(secret)
    printed = page_pdf(
        f'<html><head></head><body><img src="{secret.as_uri()}"></body></html>'
    )
    assert b"/DCTDecode" not in printed

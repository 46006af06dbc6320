"""Pages as PDF, for archives and journals."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

from facetgrade.errors import ConfigError

_DRAWING = re.compile(r"<svg\b[^>]*>")


def check_pdf() -> None:
    """Refuse PDF before any work where it cannot be made.

    Raises
    ------
    ConfigError
        If WeasyPrint or the Pango libraries it draws with are missing.
    """
    _weasyprint()


def page_pdf(page: str) -> bytes:
    """Print a self-contained page.

    Parameters
    ----------
    page : str
        HTML that needs no other file; nothing is fetched.

    Raises
    ------
    ConfigError
        If WeasyPrint or the Pango libraries it draws with are missing.
    """
    weasyprint = _weasyprint()
    only_inline = weasyprint.urls.URLFetcher(allowed_protocols=("data",))
    document = weasyprint.HTML(string=printable(page), url_fetcher=only_inline)
    content: bytes = document.write_pdf()
    return content


def printable(page: str) -> str:
    """Add the styles for paper to a page, and to each of its drawings."""
    drawings = _style("pdf_svg.css")
    with_style = _DRAWING.sub(lambda tag: tag[0] + drawings, page)
    return with_style.replace("</head>", f"{_style('pdf.css')}</head>", 1)


@cache
def _style(name: str) -> str:
    sheet = files("facetgrade.compare") / "templates" / name
    return f"<style>{sheet.read_text(encoding='utf-8')}</style>"


def _weasyprint() -> Any:
    try:
        import weasyprint
        import weasyprint.urls
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"--pdf needs WeasyPrint and Pango ({error}); install the system package "
            "of Pango (Debian: libpangoft2-1.0-0)"
        ) from error
    return weasyprint

"""Pages as PDF, for archives and journals."""

from __future__ import annotations

from typing import Any

from facetgrade.errors import ConfigError


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
    document = weasyprint.HTML(string=page, url_fetcher=_only_inline)
    content: bytes = document.write_pdf()
    return content


def _weasyprint() -> Any:
    try:
        import weasyprint
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"--pdf needs WeasyPrint and Pango ({error}); install "
            "the system package of Pango (Debian: libpangoft2-1.0-0)"
        ) from error
    return weasyprint


def _only_inline(url: str) -> Any:
    """Read data URIs, refuse everything else."""
    if not url.startswith("data:"):
        raise ValueError(f"a page must not need {url[:80]}")
    return _weasyprint().default_url_fetcher(url)

"""Take pictures for a model card out of a failure gallery.

    python scripts/gallery_pictures.py [PAGE] [--pictures 3]

Writes the worst joint of each group of held-out studies into a folder beside PAGE,
which scripts/failure_gallery.py made, and prints what a card one folder up says of it.
"""

from __future__ import annotations

import argparse
import base64
import html
import re
from collections.abc import Iterator
from pathlib import Path

SECTION = re.compile(
    r"<h2>(?P<title>[^<]+)</h2>\s*<p>(?P<verdict>[^<]+)</p>\s*"
    r"<p>(?P<measured>[^<]+)</p>\s*"
    r"<p>group: (?P<group>.+?), lumbar vertebrae: [^<]+</p>\s*"
    r'<div class="figures">\s*'
    r'<figure><img src="data:image/jpeg;base64,(?P<picture>[^"]+)"'
)


def worst_of_groups(page: str) -> Iterator[re.Match[str]]:
    """Yield the first joint of each group, in the order of the page."""
    met = set()
    for section in SECTION.finditer(page):
        if section["group"] not in met:
            met.add(section["group"])
            yield section


def main() -> None:
    """Write the pictures and print their captions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "page", type=Path, nargs="?", default=Path("models/benchmark/failures.html")
    )
    parser.add_argument("--pictures", type=int, default=3)
    options = parser.parse_args()
    folder = options.page.with_suffix("")
    folder.mkdir(exist_ok=True)
    found = list(worst_of_groups(options.page.read_text("utf-8")))
    for section in found[: options.pictures]:
        file = folder / (section["title"].replace(" ", "_") + ".jpg")
        file.write_bytes(base64.b64decode(html.unescape(section["picture"])))
        said = f"{section['verdict']} {section['measured']} ({section['group']})"
        link = file.relative_to(options.page.parent.parent).as_posix()
        print(f"![{section['title']}]({link})\n{html.unescape(said)}\n")


if __name__ == "__main__":
    main()

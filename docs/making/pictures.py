"""`python -m docs.making.pictures [--graded FOLDER]`: takes screenshots of a graded class for the guide.

Grades the practice class in full in `build/guide-pictures/`, which takes some minutes, or uses a class that was graded
before. The last picture shows the decision from the guide's page on complaints.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from docs.making.reading import GUIDE, ROOT, blocks

PICTURES = GUIDE / "pictures"
WORK = ROOT / "build" / "guide-pictures"
WIDTH, HEIGHT = 1000, 900
WIDE, HIGH = 1340, 1180  # for the class: every column, and five students
LARGEST = 120_000  # bytes
MARGIN = 12  # pixels around a part of a page
STUDENT, ITEM = "grace", "vae.loss"
REFUSED = 1  # exit code of a class that needs manual review


def main(arguments: Sequence[str]) -> None:
    """Makes the guide's pictures again."""
    parser = argparse.ArgumentParser(prog="python -m docs.making.pictures", description=main.__doc__)
    parser.add_argument("--graded", type=Path, help="a graded practice class, which is not changed")
    graded = parser.parse_args(arguments).graded or grade_practice()
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "practice"
        shutil.copytree(graded, out)
        photograph(out, Path(temporary))
    for path in sorted(PICTURES.iterdir()):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def grade_practice() -> Path:
    """Grades the practice class in full, unless this was done before for the same code; returns its folder."""
    submissions, out = WORK / "practice", WORK / "runs"
    _run("grader", "practice", submissions)
    _run("grader", "grade-class", submissions, "--out", out)
    return out


def photograph(out: Path, temporary: Path) -> None:
    """Writes to `pictures/`: the class, a report, one of its items, and that item after the guide's decision."""
    sys.path.insert(0, str(ROOT / "tests" / "browser"))
    from chromium import FOUND, Browser

    if FOUND is None:
        raise SystemExit("no Chromium on the PATH; Debian: apt install chromium")
    report = out / "submissions" / STUDENT / "report.html"
    item = f"[...document.querySelectorAll('details')].find(e => e.textContent.includes('{ITEM}'))"
    PICTURES.mkdir(exist_ok=True)
    with Browser(temporary / "profile") as browser:
        browser.ask("Emulation.setScrollbarsHidden", {"hidden": True})
        browser.open(out / "class.html", width=WIDE, height=HIGH)
        _part(browser, "", PICTURES / "class.png", temporary)
        browser.open(report, width=WIDTH, height=HEIGHT)
        _part(browser, "", PICTURES / "report.png", temporary)
        _part(browser, item, PICTURES / "item.png", temporary)
        decide(out)
        browser.open(report, width=WIDTH, height=HEIGHT)
        _part(browser, item, PICTURES / "decision.png", temporary)


def decide(out: Path) -> None:
    """Re-grades the class with the decision that the guide shows."""
    page = GUIDE / "answer-a-complaint.md"
    decision = next(b for b in blocks(page) if b.language == "yaml" and b.path.endswith("practice/overrides.yaml"))
    (out / "overrides.yaml").write_text(decision.text, encoding="utf-8")
    _run("grader", "regrade", out)


def _part(browser: Any, element: str, path: Path, temporary: Path) -> None:
    """Writes a picture of the element that the script finds, as far as it fits; without a script, of the page's top."""
    shot = temporary / "shot.png"
    box = None
    if element:
        browser.run(f"{element}.open = true; {element}.scrollIntoView()")
        where = f"(r => [r.left, r.top, r.right, r.bottom])({element}.getBoundingClientRect())"
        left, top, right, bottom = browser.run(where)
        box = (
            *(round(max(0, edge)) for edge in (left - MARGIN, top)),
            *(round(min(most, edge + MARGIN)) for most, edge in ((WIDTH, right), (HEIGHT, bottom))),
        )
    browser.screenshot(shot)
    with Image.open(shot) as picture:
        path.write_bytes(small(picture.convert("RGB").crop(box)))


def small(picture: Image.Image) -> bytes:
    """The picture as a PNG smaller than `LARGEST`, with as many colours as possible."""
    for colours in (256, 128, 64, 32, 16):
        buffer = io.BytesIO()
        picture.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
            buffer, "PNG", optimize=True
        )
        if buffer.tell() < LARGEST:
            break
    return buffer.getvalue()


def _run(module: str, *words: str | Path) -> None:
    ended = subprocess.run([sys.executable, "-m", module, *map(str, words)], cwd=ROOT).returncode
    if ended not in {0, REFUSED}:
        raise SystemExit(f"{module} {' '.join(map(str, words))} ended with exit code {ended}")


if __name__ == "__main__":
    main(sys.argv[1:])

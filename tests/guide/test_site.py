"""The website of all pages: built without a warning, self-contained, readable on a phone and in dark mode."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.making.reading import ROOT, guide_pages

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
from chromium import FOUND, Browser

pytestmark = pytest.mark.whole
PHONE = 360


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site's folder, built with warnings as errors."""
    if importlib.util.find_spec("sphinx") is None:
        pytest.skip("Sphinx is not installed: `make site` installs it")
    folder = tmp_path_factory.mktemp("site")
    line = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-c", "docs/site", ".", str(folder)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_of_the_guide_exists_and_loads_nothing_from_another_site(site: Path) -> None:
    pages = [site / page.relative_to(ROOT).with_suffix(".html") for page in guide_pages()]
    for page in (site / "README.html", site / "docs" / "api.html", *pages):
        loaded = re.findall(
            r'<(?:script|img|iframe|link rel="stylesheet")[^>]*(?:src|href)="([^"]+)"', page.read_text()
        )
        assert loaded, page
        assert [address for address in loaded if re.match(r"(?:\w+:)?//", address)] == [], page


@pytest.mark.skipif(FOUND is None, reason="no Chromium on the PATH")
def test_no_page_is_wider_than_a_phone_or_requests_another_site(site: Path, tmp_path: Path) -> None:
    with Browser(tmp_path) as browser:
        for name in ("README", "docs/guide/grade-a-class", "docs/guide/change-a-number", "docs/api"):
            for width, dark in ((PHONE, False), (1280, True)):
                browser.open(site / f"{name}.html", width=width, height=800, dark=dark)
                assert browser.run("document.documentElement.scrollWidth") <= width, (name, width)
        assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []

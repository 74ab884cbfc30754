"""The audit's page in a real browser: two widths, light and dark."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

import pytest
from accessibility import SERIOUS, axe
from chromium import FOUND, Browser

from grader.audit.page import audit_html

sys.path.insert(0, str(Path(__file__).parents[1] / "audit"))
from audit_samples import EVIL, LEFT, audited, verdicts, wrong

pytestmark = pytest.mark.skipif(FOUND is None, reason="no Chromium on the PATH")
SHOTS = os.environ.get("VAE_GRADER_SCREENSHOTS")  # a folder, to look at


def test_the_page_loads_nothing_and_needs_no_sideways_scroll(tmp_path: Path) -> None:
    slips = [wrong("slip", "one.turn"), wrong("blind", "two.turn", story=EVIL)]
    audit = audited(slips, {"reference": verdicts(), "slip": verdicts(LEFT), "blind": verdicts()})
    page, script = tmp_path / "audit.html", axe()
    page.write_text(audit_html(audit), encoding="utf-8")
    with Browser(tmp_path / "profile") as browser:
        for width, dark in itertools.product((360, 1280), (False, True)):
            browser.open(page, width=width, dark=dark)
            assert browser.run("document.documentElement.scrollWidth <= innerWidth")
            if script is not None:
                browser.run(script + "; 0")
                assert browser.run(SERIOUS) == []
            if SHOTS:
                size, tone = "phone" if width < 600 else "desktop", "dark" if dark else "light"
                browser.screenshot(Path(SHOTS) / f"audit-{size}-{tone}.png", whole=True)
        assert browser.problems == []
        assert [url for url in browser.requests if not url.startswith(("file:", "data:"))] == []

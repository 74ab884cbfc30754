"""The bundle on a bare Debian: installs Python and the pinned packages, and grades."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from bare_debian import bare_debian, missing, run

from grader.exercises.vae_mnist.data.mnist import cache_root, find_mnist
from grader.gradescope.bundle import SETTINGS, write_bundle

CHECKOUT = Path(__file__).parents[2]
METADATA = {"id": 1, "assignment": {"title": "VAE", "total_points": "50.0"}, "users": [], "previous_submissions": []}


@pytest.mark.whole
@pytest.mark.skipif(bool(missing()), reason=missing() or "there is all")
def test_a_bare_debian_sets_itself_up_and_grades_the_reference(tmp_path: Path) -> None:
    bundle = write_bundle(CHECKOUT / "rubric.yaml", tmp_path / "autograder.zip")
    with bare_debian() as root:
        platform = root / "autograder"
        with zipfile.ZipFile(bundle.path) as archive:
            archive.extractall(platform / "source")
        shutil.copy(platform / "source" / "run_autograder", platform / "run_autograder")
        (platform / "run_autograder").chmod(0o755)
        for name in ("submission", "results"):
            (platform / name).mkdir()
        settings = json.loads((platform / "source" / SETTINGS).read_text()) | {"components_only": True}
        (platform / "source" / SETTINGS).write_text(json.dumps(settings))
        mnist = find_mnist() or cache_root()  # its mirrors are no package registry
        shutil.copytree(mnist / "MNIST", platform / "cache" / "MNIST")
        done = run(root, ["bash", "/autograder/source/setup.sh"], 1800)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "setup: Python 3.11." in done.stdout
        assert "for staff: this container has" in done.stdout
        (platform / "submission_metadata.json").write_text(json.dumps(METADATA))
        shutil.copy(CHECKOUT / "reference" / "vae_mnist.ipynb", platform / "submission")
        graded = run(root, ["/autograder/run_autograder"], 1800)
        results = json.loads((platform / "results" / "results.json").read_text())
        assert graded.returncode == 0, graded.stderr
        assert results["extra_data"]["status"] == "ok", graded.stdout + graded.stderr
        assert results["extra_data"]["isolated"] is True
        assert "points: the assignment is worth 50.0 points, the rubric 100" in graded.stdout
        assert results["output"].startswith("No score yet: 76 of 76"), results["output"]

"""The stand-ins for Colab's own modules are found under every way to import them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import grader.sandbox

STUBS = Path(grader.sandbox.__file__).parent / "in_box" / "stubs"
MODULES = ("auth", "data_table", "drive", "files", "output", "patches", "runtime", "userdata", "widgets")


def in_python(code: str) -> subprocess.CompletedProcess[str]:
    """What the code printed in a fresh Python, with the stand-ins last on the path as in a box."""
    start = f"import sys\nsys.path.append({str(STUBS)!r})\n"
    return subprocess.run([sys.executable, "-c", start + code], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "code",
    [
        f"from google.colab import {', '.join(MODULES)}",
        *(f"import google.colab.{name}\ngoogle.colab.{name}.__doc__[0]" for name in MODULES),
        "from google.colab.output import eval_js\nassert eval_js('1') is None",
        "from google.colab.patches import cv2_imshow",
        "import google.colab.files as files\nassert files.upload() == {}",
        "import google.colab\nassert google.colab.userdata.get('KEY') == ''",
        "import google.colab\nfrom google.protobuf import descriptor_pb2",  # an installed package, beside the stand-ins
        "from google.colab import *\nwith widgets.Grid(2, 2).output_to(0, 0):\n    auth.authenticate_user()",
        "import importlib\nimportlib.import_module('google.colab.data_table').enable_dataframe_formatter()",
        "import importlib.util\nassert importlib.util.find_spec('google.colab')",
        "import pickle\nfrom google.colab.data_table import DataTable\n"
        "assert repr(pickle.loads(pickle.dumps(DataTable([1])))) == '[1]'",
    ],
)
def test_a_way_to_import_colab_works(code: str) -> None:
    ended = in_python(code)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_modules_that_colab_lacks_cannot_be_imported() -> None:
    ended = in_python("import google.colab.drives")
    assert ended.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'google.colab.drives'"


def test_a_mounted_drive_is_an_empty_folder(tmp_path: Path) -> None:
    ended = in_python(f"from google.colab import drive\ndrive.mount({str(tmp_path)!r})")
    assert ended.stdout == f"Mounted at {tmp_path}\n"
    assert list((tmp_path / "MyDrive").iterdir()) == []

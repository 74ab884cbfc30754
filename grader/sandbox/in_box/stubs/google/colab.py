"""Stand-ins for Colab's own modules: they return at once without effect, so that a notebook from Colab runs unchanged.

Each class is turned into the module of its name, `google.colab.drive` and so on.
"""

import contextlib as _contextlib
import sys as _sys
from importlib.machinery import ModuleSpec as _ModuleSpec
from pathlib import Path as _Path
from types import ModuleType as _ModuleType

__all__ = ["auth", "data_table", "drive", "files", "output", "patches", "runtime", "userdata", "widgets"]
__path__ = []  # a package, whose modules are all loaded with it


def _module(contents):
    """Turns the class into a module that can be imported by its name."""
    module = _ModuleType(f"{__name__}.{contents.__name__}", contents.__doc__)
    module.__spec__ = _ModuleSpec(module.__name__, None)
    for name, value in vars(contents).items():
        if not name.startswith("__"):
            value.__module__, value.__qualname__ = module.__name__, name
            setattr(module, name, value)
    _sys.modules[module.__name__] = module
    return module


@_module
class auth:
    """Signing in does nothing."""

    def authenticate_user(*args, **kwargs):
        """Does nothing."""

    def authenticate_service_account(*args, **kwargs):
        """Does nothing."""


@_module
class data_table:
    """Tables are shown as usual."""

    class DataTable:
        """Holds a table, which is shown as plain text."""

        max_columns = 20
        max_rows = 20_000
        include_index = True
        num_rows_per_page = 25

        def __init__(self, dataframe, *args, **kwargs):
            self._dataframe = dataframe

        def __repr__(self):
            return repr(self._dataframe)

    def enable_dataframe_formatter():
        """Does nothing."""

    def disable_dataframe_formatter():
        """Does nothing."""

    def load_ipython_extension(ipython):
        """Does nothing."""

    def unload_ipython_extension(ipython):
        """Does nothing."""


@_module
class drive:
    """`drive.mount` makes an empty folder."""

    def mount(mountpoint, force_remount=False, timeout_ms=120000, readonly=False):
        """Leaves an empty `MyDrive` at the mount point."""
        (_Path(mountpoint) / "MyDrive").mkdir(parents=True, exist_ok=True)
        print(f"Mounted at {mountpoint}")

    def flush_and_unmount(timeout_ms=120000):
        """Does nothing."""


@_module
class files:
    """Uploads return no files, and downloads do nothing."""

    def upload(*args, **kwargs):
        """Returns no files."""
        return {}

    def download(filename):
        """Does nothing."""

    def view(filepath):
        """Does nothing."""


@_module
class output:
    """Output controls do nothing."""

    def clear(*args, **kwargs):
        """Does nothing."""

    def enable_custom_widget_manager():
        """Does nothing."""

    def eval_js(*args, **kwargs):
        """Returns nothing."""

    def no_vertical_scroll():
        """Does nothing."""


@_module
class patches:
    """`cv2_imshow` shows nothing."""

    def cv2_imshow(image):
        """Does nothing."""


@_module
class runtime:
    """The runtime keeps running; a notebook that ends its runtime in the last cell loses nothing."""

    def unassign():
        """Does nothing."""


@_module
class userdata:
    """There are no secrets."""

    def get(key):
        """Returns an empty string for every key."""
        return ""


@_module
class widgets:
    """Colab's own layouts: outputs inside them are shown as usual."""

    class _Container:
        def __init__(self, *args, **kwargs):
            pass

        def output_to(self, *args, **kwargs):
            """Outputs in the block are shown as usual."""
            return _contextlib.nullcontext()

        def clear_cell(self, *args, **kwargs):
            """Does nothing."""

        def clear_tab(self, *args, **kwargs):
            """Does nothing."""

    class Grid(_Container):
        """Cells of a table."""

    class TabBar(_Container):
        """Tabs, of which each shows one output."""

    class AccordionList(_Container):
        """Foldable outputs."""

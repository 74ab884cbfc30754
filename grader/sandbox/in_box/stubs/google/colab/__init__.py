"""Stand-ins for Colab's own modules: they do nothing, quickly, so that a notebook from Colab runs as it is."""

from google.colab import auth, data_table, drive, files, output, patches, runtime, userdata, widgets

__all__ = ["auth", "data_table", "drive", "files", "output", "patches", "runtime", "userdata", "widgets"]

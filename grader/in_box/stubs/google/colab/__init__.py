"""Stand-ins for Colab's own modules: they do nothing, quickly, so that a notebook from Colab runs as it is."""

from google.colab import drive, files, output, patches, userdata

__all__ = ["drive", "files", "output", "patches", "userdata"]

"""A replacement for torchvision on a machine without it, with only what the reference notebook uses."""

__version__ = "0.0.0+stand-in"

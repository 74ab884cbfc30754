"""Instead of torchvision on a machine that has PyTorch alone: what the reference notebook takes of it."""

__version__ = "0.0.0+stand-in"

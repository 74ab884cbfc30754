"""Uploads give nothing and downloads go nowhere."""


def upload(*args, **kwargs):
    """Returns no files."""
    return {}


def download(filename):
    """Does nothing."""


def view(filepath):
    """Does nothing."""

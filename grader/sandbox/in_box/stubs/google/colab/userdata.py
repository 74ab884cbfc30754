"""There are no secrets."""


def get(key):
    """Returns an empty string for every key."""
    return ""

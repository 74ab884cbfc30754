"""The runtime goes on: a notebook that ends its own in the last cell has lost nothing by it."""


def unassign():
    """Does nothing."""

"""Output controls do nothing."""


def clear(*args, **kwargs):
    """Does nothing."""


def enable_custom_widget_manager():
    """Does nothing."""


def eval_js(*args, **kwargs):
    """Returns nothing."""


def no_vertical_scroll():
    """Does nothing."""

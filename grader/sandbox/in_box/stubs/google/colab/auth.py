"""Nobody signs in, and nothing asks for it."""


def authenticate_user(*args, **kwargs):
    """Does nothing."""


def authenticate_service_account(*args, **kwargs):
    """Does nothing."""

"""`drive.mount` makes an empty folder."""

from pathlib import Path


def mount(mountpoint, force_remount=False, timeout_ms=120000, readonly=False):
    """Leaves an empty `MyDrive` at the mount point."""
    (Path(mountpoint) / "MyDrive").mkdir(parents=True, exist_ok=True)
    print(f"Mounted at {mountpoint}")


def flush_and_unmount(timeout_ms=120000):
    """Does nothing."""

"""MNIST from files in torchvision's layout, `ROOT/MNIST/raw`, as two tensors."""

from __future__ import annotations

import struct
from pathlib import Path

import torch


class MNIST:
    """`data` is `(N, 28, 28)` uint8, `targets` `(N,)` int64."""

    def __init__(self, root: str, train: bool = True, download: bool = False) -> None:
        self.root, self.train = Path(root), train
        if not self._check_exists():
            raise RuntimeError("Dataset not found. You can use download=True to download it")
        which = "train" if train else "t10k"
        self.data = _read(self.raw_folder / f"{which}-images-idx3-ubyte")
        self.targets = _read(self.raw_folder / f"{which}-labels-idx1-ubyte").long()

    @property
    def raw_folder(self) -> Path:
        """The folder of the raw files."""
        return self.root / "MNIST" / "raw"

    def _check_exists(self) -> bool:
        return all(
            (self.raw_folder / f"{which}-{what}-ubyte").exists()
            for which in ("train", "t10k")
            for what in ("images-idx3", "labels-idx1")
        )

    def __len__(self) -> int:
        return len(self.data)


def _read(path: Path) -> torch.Tensor:
    """The bytes of an IDX file, in the shape of its header."""
    raw = path.read_bytes()
    sizes = struct.unpack(f">{raw[3]}i", raw[4 : 4 + 4 * raw[3]])
    return torch.frombuffer(bytearray(raw[4 + 4 * raw[3] :]), dtype=torch.uint8).reshape(sizes)

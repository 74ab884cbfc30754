"""Archives are as hostile as notebooks: nothing lands outside the folder, and nothing is larger than allowed."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from downloads import NOTEBOOK, write_zip
from hypothesis import given
from hypothesis import strategies as st

from grader.batch.students import archives
from grader.batch.students.archives import MAX_MEMBERS, UnusableArchive, unpack


def unpacked(archive: Path, into: Path, max_mb: float = 1, total_mb: float = 3) -> list[tuple[str, bool, str]]:
    files = unpack(archive, into, max_mb=max_mb, total_mb=total_mb, nested=False)
    return [("/".join(file.path_parts), file.path is not None, file.problem) for file in files]


def test_only_notebooks_are_written(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"x/vae.ipynb": NOTEBOOK, "x/run.sh": "rm -rf /", "y/VAE.IPYNB": "{}"})
    assert unpacked(archive, tmp_path / "into") == [
        ("x/vae.ipynb", True, ""),
        ("x/run.sh", False, ""),
        ("y/VAE.IPYNB", True, ""),
    ]
    assert sorted(path.name for path in (tmp_path / "into").rglob("*.*")) == ["VAE.IPYNB", "vae.ipynb"]


@pytest.mark.parametrize(
    "name", ["../out.ipynb", "/etc/out.ipynb", "a/../../out.ipynb", "C:\\out.ipynb", "..\\out.ipynb", "\\out.ipynb"]
)
def test_a_name_that_leads_elsewhere_is_left_out(name: str, tmp_path: Path) -> None:
    assert unpacked(write_zip(tmp_path / "a.zip", {name: "{}"}), tmp_path / "into") == []
    assert not list(tmp_path.rglob("out.ipynb"))


def test_a_declared_size_is_not_believed(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {"bomb.ipynb": "0" * 3_000_000, "vae.ipynb": NOTEBOOK})
    data = archive.read_bytes().replace((3_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    archive.write_bytes(data)
    (_, bomb, why), (_, sound, _) = unpacked(archive, tmp_path / "into")
    assert (bomb, sound) == (False, True)
    assert why
    assert sum(path.stat().st_size for path in (tmp_path / "into").rglob("*") if path.is_file()) < 100_000


def test_a_decompression_bomb_stops_the_unpacking(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", {f"{n}.ipynb": "0" * 900_000 for n in range(9)})
    with pytest.raises(UnusableArchive, match="holds more than 3 MB"):
        unpacked(archive, tmp_path / "into")


def test_links_and_encrypted_members_are_reported_and_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    ((_, written, why),) = unpacked(path, tmp_path / "into")
    assert not written
    assert "link" in why


def test_a_tar_is_read_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("x/vae.ipynb")
        info.size = len(NOTEBOOK)
        archive.addfile(info, io.BytesIO(NOTEBOOK.encode()))
        link = tarfile.TarInfo("x/link.ipynb")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        device = tarfile.TarInfo("../dev.ipynb")
        device.type = tarfile.CHRTYPE
        archive.addfile(device)
    members = unpacked(path, tmp_path / "into")
    assert [(name, written) for name, written, _ in members] == [("x/vae.ipynb", True), ("x/link.ipynb", False)]


def test_a_file_that_is_not_an_archive_has_one_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(UnusableArchive, match="is not a readable archive"):
        unpacked(path, tmp_path / "into")


def test_too_many_files_stop_the_unpacking(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(MAX_MEMBERS + 1):
            archive.writestr(f"{number}.txt", "")
    with pytest.raises(UnusableArchive, match="holds more than"):
        unpacked(tmp_path / "a.zip", tmp_path / "into")


@given(names=st.lists(st.text(min_size=1, max_size=300).filter(lambda n: "\x00" not in n), min_size=1, max_size=4))
def test_no_name_leads_outside_or_raises_another_error(names: list[str], tmp_path: Path) -> None:
    path = tmp_path / "fuzz.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in dict.fromkeys(names):
            try:
                archive.writestr(name + ".ipynb", "{}")
            except (UnicodeEncodeError, UserWarning):
                return
    into = tmp_path / "fuzzed"
    for file in unpack(path, into, max_mb=1, total_mb=3, nested=False):
        assert file.path is None or file.path.resolve().is_relative_to(into.resolve())
        assert all(part not in {"", ".", ".."} and len(part.encode()) <= 130 for part in file.path_parts)


def add(archive: tarfile.TarFile, name: str, data: bytes, **of: object) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in of.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(data))


def bombs(folder: Path) -> dict[str, Path]:
    """Small archives that say much of themselves."""
    paths = {}
    for name in ("a huge header", "huge files that nobody needs", "folders without end"):
        paths[name] = folder / f"{len(paths)}.tar.gz"
        with tarfile.open(paths[name], "w:gz", format=tarfile.GNU_FORMAT) as archive:
            if name == "a huge header":
                add(archive, "././@LongLink", b"x" * 6_000_000, type=tarfile.GNUTYPE_LONGNAME)
            elif name == "huge files that nobody needs":
                for number in range(5):
                    add(archive, f"{number}.bin", bytes(6_000_000))
            else:
                for number in range(205):
                    archive.addfile(replaced(tarfile.TarInfo(f"d{number}"), type=tarfile.DIRTYPE))
            add(archive, "vae.ipynb", NOTEBOOK.encode())
    paths["a huge list"] = folder / "list.zip"
    with zipfile.ZipFile(paths["a huge list"], "w") as zipped:
        for number in range(90):
            info = zipfile.ZipInfo(f"{number}.txt")
            info.comment = b"c" * 65_000
            zipped.writestr(info, "")
    return paths


def replaced(info: tarfile.TarInfo, **of: object) -> tarfile.TarInfo:
    for key, value in of.items():
        setattr(info, key, value)
    return info


def test_the_declared_sizes_of_an_archive_are_read_within_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, limit in (("MAX_MEMBERS", 100), ("MAX_AT_ONCE", 5_000_000), ("MAX_STRUCTURE", 10_000_000)):
        monkeypatch.setattr(archives, name, limit)
    for archive in bombs(tmp_path).values():
        assert archive.stat().st_size < 7_000_000
        with pytest.raises(UnusableArchive, match=r"holds more than|too long"):
            unpack(archive, tmp_path / "into", max_mb=1, total_mb=3, nested=False)


@pytest.mark.parametrize("packed", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_member_with_an_unusual_compression_is_reported(packed: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", packed) as archive:
        archive.writestr("vae.ipynb", NOTEBOOK)
    ((name, there, why),) = unpacked(tmp_path / "a.zip", tmp_path / "into")
    assert (name, there) == ("vae.ipynb", False)
    assert "uses an unusual compression" in why


@pytest.mark.parametrize("mode", ["w:xz", "w:bz2"])
def test_a_tar_may_only_be_compressed_by_gzip(mode: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", mode) as archive:  # type: ignore[call-overload]
        add(archive, "vae.ipynb", NOTEBOOK.encode())
    with pytest.raises(UnusableArchive, match="is not a readable archive"):
        unpacked(tmp_path / "a.tar.gz", tmp_path / "into")


def test_a_plain_tar_and_a_packed_one_are_read(tmp_path: Path) -> None:
    for name, mode in (("a.tar", "w:"), ("b.tgz", "w:gz")):
        with tarfile.open(tmp_path / name, mode) as archive:  # type: ignore[call-overload]
            add(archive, "x/vae.ipynb", NOTEBOOK.encode())
        assert unpacked(tmp_path / name, tmp_path / "into") == [("x/vae.ipynb", True, "")]

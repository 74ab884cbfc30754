"""Folders around a whole download are taken away, and a single submission's own folder is not taken for one of them.

An archive program, a Mac or a person puts a folder around a class, sometimes several. While all that is there lies in
one folder, these decide, in this order:

1. What a system wrote: a folder with a system's name is a submission's; around an export, `submitted` or a system's
   folders and files lies a wrapper.
2. The roster: a folder that is called as a student is theirs; around a file that is, lies a wrapper.
3. The work inside: around one folder with work, or several entries with work, lies a wrapper; around a single
   notebook, or copies of one, lies its author's folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from grader.batch.archives import File
from grader.batch.choosing import plain_name
from grader.batch.export import METADATA
from grader.batch.layouts import ASIDE, SUBMITTED, is_systems, is_work, layout_of, left_at_root, stem_of

NamesOne = Callable[[str], bool]  # whether the text is a student's id, login, address or name


def unwrapped(files: Sequence[File], names_one: NamesOne) -> list[File]:
    """The files as they lie below the wrappers, without what archivers and systems leave at the root."""
    level = _without_sections([file for file in files if not left_at_root(file)], names_one)
    while (folder := _only_folder(level, names_one)) is not None:
        inside = [replace(file, parts=file.parts[1:]) for file in level if len(file.parts) > 1]
        inside = [file for file in inside if not left_at_root(file)]
        if not _is_wrapper(folder, inside, names_one):
            break
        level = _without_sections(inside, names_one)
    return level


def _without_sections(level: Sequence[File], names_one: NamesOne) -> list[File]:
    """The files, with the students' entries in the place of the sections of a class.

    Only where every folder with work is one: has entries of several students, and is called like none. A student who
    puts such folders into their own finds no other student's folder to be like it.
    """
    inside: dict[str, set[str]] = {}
    for file in level:
        if len(file.parts) > 1 and is_work(file):
            inside.setdefault(file.parts[0], set()).add(file.parts[1])
    several = [sum(_names_one(entry, names_one) for entry in entries) > 1 for entries in inside.values()]
    below = {plain_name(file.name) for file in level if len(file.parts) > 1}
    loose = [file.name for file in level if len(file.parts) == 1 and is_work(file)]
    if (
        not inside
        or not all(several)
        or any(_names_one(folder, names_one) or folder == SUBMITTED for folder in inside)
        or any(_names_one(name, names_one) or plain_name(name) not in below for name in loose)
    ):
        return list(level)
    opened = [replace(file, parts=file.parts[1:]) if file.parts[0] in inside else file for file in level]
    return [file for file in opened if not left_at_root(file)]


def _names_one(entry: str, names_one: NamesOne) -> bool:
    return is_systems(entry) or names_one(entry) or names_one(stem_of(entry))


def _only_folder(level: Sequence[File], names_one: NamesOne) -> str | None:
    """The folder in which all lies but what staff leave beside one."""
    folders = {file.parts[0] for file in level if len(file.parts) > 1}
    beside = [file.name for file in level if len(file.parts) == 1]
    if len(folders) != 1 or METADATA in beside:
        return None
    told = [name for name in beside if not name.lower().endswith(ASIDE) or names_one(stem_of(name))]
    return None if told else folders.pop()


def _is_wrapper(folder: str, inside: Sequence[File], names_one: NamesOne) -> bool:
    if is_systems(folder) or folder == SUBMITTED or names_one(folder) or not inside:
        return False
    entries = {file.parts[0] for file in inside}
    if layout_of(inside).of_system:
        return True
    if any(_names_one(entry, names_one) for entry in entries):
        return True
    work = {file.parts[0]: file for file in inside if is_work(file)}
    if len(work) > 1:
        return len({plain_name(file.name) for file in work.values()}) > 1 or any(
            len(f.parts) > 1 for f in work.values()
        )
    entry = next(iter(work.values()), inside[0])
    return len(entry.parts) > 1

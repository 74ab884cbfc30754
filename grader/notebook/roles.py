"""The roles of cells, the groups of roles that are treated alike, and the metadata in which a template's cell has them.

A cell of the reference or a template has its role, id and other marks in `metadata.grader`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """The purpose of a cell, as `metadata.grader.role` names it; `extra` cells are in no template."""

    GIVEN = "given"  # provided: defines classes, functions and data
    CONSTANTS = "constants"  # provided: sets numbers that students may change
    TRAIN = "train"  # provided: calls a training function
    SHOW = "show"  # provided: shows results
    CHECK = "check"  # provided: tests the cell above it, for the student
    TASK = "task"  # contains a solution region, which students fill in
    EXTRA = "extra"  # the student's own
    TEXT = "text"  # not code


# Provided code: a student has no reason to change these cells, except for the values of constants.
PROVIDED = (Role.GIVEN, Role.CONSTANTS, Role.TRAIN, Role.SHOW, Role.CHECK)
# The code cells of a template.
CODE = (*PROVIDED, Role.TASK)
# Provided code that belongs in a submission; self-checks may be deleted, changed and copied.
PROVIDED_EXCEPT_CHECKS = (Role.GIVEN, Role.CONSTANTS, Role.TRAIN, Role.SHOW)
# Run as in the template, also if the student changed them; constants keep the student's values.
RESTORED = (Role.GIVEN, Role.TRAIN, Role.SHOW)
# Added if they are missing: later cells need them.
REINSERTED = (Role.GIVEN, Role.CONSTANTS, Role.TRAIN)
# Provided cells that define names and train nothing.
DEFINITIONS = (Role.GIVEN, Role.CONSTANTS)
# Written by the student or dependent on student code: they define what later cells need.
SOLVED_OR_TRAINED = (Role.TASK, Role.TRAIN)
# They define nothing that another cell needs.
IDLE = (Role.SHOW, Role.CHECK)
# They need cells above them; cells of the other roles are needed by cells below them.
LATE = (*IDLE, Role.TRAIN)
# Their outputs are about training, or about what training depends on.
ABOUT_TRAINING = (Role.GIVEN, Role.TRAIN)


def grader_metadata(cell: Mapping[str, Any]) -> Mapping[str, Any]:
    """The cell's `metadata.grader`; empty if it is missing or not an object."""
    metadata = cell.get("metadata")
    marks = metadata.get("grader") if isinstance(metadata, dict) else None
    return marks if isinstance(marks, dict) else {}


def role_of(cell: Mapping[str, Any]) -> Role | None:
    """The role that the cell's metadata names; None if it names none, or an unknown one."""
    role = grader_metadata(cell).get("role")
    return next((known for known in Role if known == role), None)


def is_task(cell: Mapping[str, Any]) -> bool:
    """Whether the cell is marked as a task, to be filled in by students."""
    return role_of(cell) is Role.TASK

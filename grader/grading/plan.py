"""Plans a run: the order of the notebook's cells and of the stages of questions.

The cells keep their order. The stages of each part come between them:

1. `components`, just before the part's first training cell: if that cell crashes or never ends, the components are
   already answered.
2. `ended`, as soon as the part's training cells have run.
3. `sampling`, `trained` and `quality`, before the next part is trained, for the same reason.
4. At the end of the notebook, every stage that still has unanswered questions, and once more the stages about code
   that a cell has redefined since they were asked.

Before a cell that seems to end the Python process, the questions about models that are trained by then are asked: a new
process would not have these models.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from grader.exercise import Exercise
from grader.grading.tampering import GivenDefinitions
from grader.notebook.format import is_code, source_of
from grader.notebook.restore import RestoredNotebook
from grader.notebook.roles import DEFINITIONS, IDLE, Role
from grader.notebook.statements import definitions_of, read_code
from grader.notebook.template import UNWRITTEN
from grader.records import CellRun, CellStatus, Interface, Limits, Notebook, Stage
from grader.sandbox.in_box.frames import CellStep, Plan, Replay, StageStep, Step

AFTER_TRAINING = ("sampling", "trained", "quality")  # sampling code is usually written after the training cell
WITHOUT_TRAINING = ("sampling",)
OF_CODE = ("components", "sampling")  # may change when a cell defines something once more
ENDING = re.compile(r"\bos\.(?:_exit|abort|kill|killpg)\(|\bkill +-")  # a process, most likely the notebook's own


def first_plan(
    restored: RestoredNotebook,
    exercise: Exercise,
    names: Mapping[str, str],
    limits: Limits,
    parts: Collection[str] | None = None,
) -> list[Step]:
    """Returns the plan of the first box: every cell, with the stages of each part between them and again at the end.

    If only some `parts` are trained, cells that only show something are omitted, and training cells of other parts are
    reduced to their definitions. Questions that need no training are asked at the same places.
    """
    return _FirstPlan(restored, exercise, names, limits, parts).build()


class _FirstPlan:
    """The plan while it is built, and what has been asked and trained so far."""

    def __init__(
        self,
        restored: RestoredNotebook,
        exercise: Exercise,
        names: Mapping[str, str],
        limits: Limits,
        parts: Collection[str] | None,
    ) -> None:
        self.restored, self.exercise, self.names, self.limits = restored, exercise, names, limits
        self.trains_all = parts is None
        self.parts_to_train = exercise.parts if parts is None else parts
        code = [index for index, cell in enumerate(restored.notebook["cells"]) if is_code(cell)]
        self.part_by_cell = {index: training_part(restored, index, exercise, names) for index in code}
        self.last_cell = {part: index for index, part in self.part_by_cell.items()}  # a part's last training cell
        self.steps: list[Step] = []
        self.step_of_stage: dict[Stage, int] = {}  # stage -> step at which it was asked
        self.parts_in_training: list[str] = []  # which are not asked about yet

    def build(self) -> list[Step]:
        """Returns all steps in order."""
        for index, part in self.part_by_cell.items():
            self._ask_before(index, part)
            self._add_cell(index, part)
        self._ask_everything_left()
        return self.steps

    def _ask(self, *stages: Stage) -> None:
        for stage in stages:
            self.step_of_stage[stage] = len(self.steps)
            self.steps.append(_stage(stage, self.limits))

    def _ask_before(self, index: int, part: str | None) -> None:
        """Adds the stages that must be asked before the cell: a training cell, or one that may end the process."""
        source = source_of(self.restored.notebook["cells"][index])
        may_end = not self._is_left_out(index) and part is None and ENDING.search(source) is not None
        if part is not None or may_end:
            complete = [
                other
                for other in self.parts_in_training
                if other != part and not (may_end and self.last_cell[other] > index)
            ]
            self._ask(*(Stage.of(kind, other) for other in complete for kind in self._stage_kinds_after(other)))
            self.parts_in_training = [other for other in self.parts_in_training if other not in complete]
        if part is not None:
            components = Stage.of("components", part)
            if components not in self.step_of_stage:
                self._ask(components)
            if part not in self.parts_in_training:
                self.parts_in_training.append(part)

    def _add_cell(self, index: int, part: str | None) -> None:
        """Adds the cell, or only its definitions if it trains a part that is not to be trained."""
        source = source_of(self.restored.notebook["cells"][index])
        is_trained = part in self.parts_to_train
        only_defines = part is not None and not is_trained
        if not self._is_left_out(index) and (not only_defines or _statement_kinds(source) & {"class", "function"}):
            text = definitions_of(source) if only_defines else source
            self.steps.append(_cell(index, text, self.limits.cell_s, replay=_replay(self.restored, index, part)))
        if part is not None and is_trained and self.last_cell[part] == index:
            self._ask(Stage.of("ended", part))

    def _ask_everything_left(self) -> None:
        """Adds every stage at the end; stages about code again if a cell has redefined it since they were asked."""
        steps = self.steps[:]
        for part in self.exercise.parts:
            for kind in ("components", *self._stage_kinds_after(part)):
                stage = Stage.of(kind, part)
                is_asked = kind in OF_CODE and stage in self.step_of_stage
                again = is_asked and _is_redefined(steps, self.step_of_stage[stage], self.exercise, self.names)
                self.steps.append(_stage(stage, self.limits, again=again))

    def _stage_kinds_after(self, part: str) -> tuple[str, ...]:
        """Returns the kinds of stages that follow the part's training; fewer without training."""
        return AFTER_TRAINING if part in self.parts_to_train else WITHOUT_TRAINING

    def _is_left_out(self, index: int) -> bool:
        """Whether the cell is left out, since only some parts are trained and it defines nothing for them."""
        return not self.trains_all and self.restored.roles[index].role in IDLE


def retraining_plan(
    restored: RestoredNotebook, exercise: Exercise, names: Mapping[str, str], limits: Limits, part: str
) -> list[Step]:
    """Returns the plan of a part that is trained again: correct code is put in just before its first training cell.

    Empty where no cell trains the part.
    """
    steps: list[Step] = []
    replacement_steps: list[Step] = [_stage(Stage.of("replace", part), limits)]
    for step in cell_steps(first_plan(restored, exercise, names, limits, (part,))):
        if training_part(restored, step.index, exercise, names) == part:
            steps += replacement_steps
            replacement_steps = []
        steps.append(step)
    return (
        [] if replacement_steps else steps + [_stage(Stage.of(kind, part), limits) for kind in ("trained", "quality")]
    )


def cell_steps(steps: Sequence[Step]) -> list[CellStep]:
    """The steps that are cells."""
    return [step for step in steps if isinstance(step, CellStep)]


def stage_steps(steps: Sequence[Step]) -> list[StageStep]:
    """The steps that are stages."""
    return [step for step in steps if isinstance(step, StageStep)]


def second_plan(
    restored: RestoredNotebook,
    exercise: Exercise,
    names: Mapping[str, str],
    limits: Limits,
    runs: Mapping[int, CellRun],
    stages: Sequence[Stage],
) -> list[Step]:
    """Returns the plan of the second box: the quick cells that define names, then the stages; no training, no pictures.

    A cell that trains, ended the process or did not finish contributes only its definitions. So does a cell after the
    last definition that questions are about: its process-wide settings, such as another default dtype, do not belong
    to that code.
    """
    steps: list[Step] = []
    last = _last_definition(restored, exercise, names)
    for index, cell in enumerate(restored.notebook["cells"]):
        run = runs.get(index)
        if not is_code(cell) or run is None or run.status == CellStatus.SKIPPED:
            continue
        part = training_part(restored, index, exercise, names)
        replay = _replay(restored, index, part)
        whole = part is None and index <= last and run.status in {CellStatus.OK, CellStatus.ERROR}
        source = source_of(cell) if whole else definitions_of(source_of(cell))
        quick = replay is Replay.QUICK and run.seconds <= limits.replay_s
        if source and (part is not None or replay is Replay.ALWAYS or quick):
            steps.append(_cell(index, source, limits.probe_s, replay=Replay.NEVER))
    return steps + [_stage(stage, limits) for stage in stages]


def plan_frame(
    steps: Sequence[Step], interface: Interface, limits: Limits, definitions: GivenDefinitions | None = None
) -> Plan:
    """The plan as the runner receives it; only the probe knows what the interface means."""
    return Plan(
        steps=tuple(steps),
        interface=asdict(interface),
        given=definitions.questions() if definitions else {},
        kernel_restarts=limits.kernel_restarts,
        replay_max_s=limits.replay_s,
        replay_timeout_s=limits.probe_s,
        cell_output_bytes=int(limits.cell_output_mb * 1e6),
        answer_bytes=int(limits.evidence_mb * 1e6),
    )


def training_part(restored: RestoredNotebook, index: int, exercise: Exercise, names: Mapping[str, str]) -> str | None:
    """The part that the cell trains: by its role in the template, else by the function it calls at top level."""
    role = restored.roles[index]
    if role.role is Role.TRAIN and role.part in exercise.parts:
        return role.part
    calls = read_code(source_of(restored.notebook["cells"][index])).calls
    for part, function in exercise.interface.train_functions.items():
        if names.get(function, function) in calls:
            return part
    return None


def will_train(restored: RestoredNotebook, exercise: Exercise, names: Mapping[str, str]) -> bool:
    """Whether some part's training function seems to be written, so that there will be something to decode."""
    cells = [read_code(source_of(cell)) for cell in restored.notebook["cells"] if is_code(cell)]
    functions = {names.get(function, function) for function in exercise.interface.train_functions.values()}
    return any(functions & code.binds and UNWRITTEN not in code.source for code in cells)


def _is_redefined(steps: Sequence[Step], asking_step: int, exercise: Exercise, names: Mapping[str, str]) -> bool:
    """Whether a cell after the asking defines once more what a cell before it had defined for the interface."""
    interface_names = {names.get(name, name) for name in exercise.interface.names}
    return bool(_defined_names(steps[:asking_step]) & _defined_names(steps[asking_step:]) & interface_names)


def _defined_names(steps: Sequence[Step]) -> set[str]:
    """The names of the classes and functions that the cells define."""
    return {name for step in cell_steps(steps) for name in _defined_in(step.source)}


def _defined_in(source: str) -> set[str]:
    definitions = (one for one in read_code(source).statements or () if one.kind in {"class", "function"})
    return {name for definition in definitions for name in definition.binds}


def _last_definition(restored: RestoredNotebook, exercise: Exercise, names: Mapping[str, str]) -> int:
    """The last cell that defines something of the interface, or is not read as Python; the last of all if none does."""
    interface_names = {names.get(name, name) for name in exercise.interface.names}
    cells = [source_of(cell) if is_code(cell) else "" for cell in restored.notebook["cells"]]
    defining = [
        index
        for index, source in enumerate(cells)
        if read_code(source).statements is None or _defined_in(source) & interface_names
    ]
    return max(defining, default=len(cells))


def _replay(restored: RestoredNotebook, index: int, part: str | None) -> Replay:
    """Whether a second kernel runs the cell: always where it defines things, if it was quick, or never.

    Not by time alone: on a loaded machine importing torch is slower than any sensible limit.
    """
    role = restored.roles[index].role
    if part is not None or role in IDLE:
        return Replay.NEVER
    if role in {*DEFINITIONS, Role.TASK}:
        return Replay.ALWAYS
    defines = _statement_kinds(source_of(restored.notebook["cells"][index])) & {"class", "function", "import"}
    return Replay.ALWAYS if defines else Replay.QUICK


def _statement_kinds(source: str) -> set[str]:
    """The kinds of statements at the cell's top level."""
    return {statement.kind for statement in read_code(source).statements or ()}


def _cell(index: int, source: str, timeout_s: float, *, replay: Replay) -> CellStep:
    return CellStep(index, source, timeout_s, replay, definitions_of(source))


def _stage(stage: Stage, limits: Limits, *, again: bool = False) -> StageStep:
    return StageStep(stage, limits.probe_s, limits.question_s, again)


def executed_notebook(notebook: Notebook, runs: Mapping[int, CellRun], outputs: Mapping[int, list[Any]]) -> Notebook:
    """The notebook with the outputs of this run instead of the submitted ones."""
    cells = []
    count = 0
    for index, cell in enumerate(notebook["cells"]):
        if is_code(cell):
            has_run = index in runs and runs[index].status != CellStatus.SKIPPED
            count += has_run
            cell = {**cell, "outputs": outputs.get(index, []), "execution_count": count if has_run else None}
        cells.append(cell)
    return {**notebook, "cells": cells}

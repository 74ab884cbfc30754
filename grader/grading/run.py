"""Runs one notebook in two boxes: one executes it and answers the questions, a fresh one decodes codes new to it.

The order in which questions are sent is part of the isolation: the trained parameters of a part are recorded, and can
no longer change, before the box knows the hidden images; the second box gets the parameters and the codes, but never
the images that were encoded into those codes. It may get other images, for an untrained model and the stand-ins.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from grader.evidence import AnswerSpec, as_stored
from grader.exercise import Exercise, Questions, Say, refuse_unasked
from grader.grading.answers import decode_answers, merge_evidence, trained_state
from grader.grading.live_line import LiveLine, unseen
from grader.grading.machine_faults import with_machine_faults
from grader.grading.plan import (
    cell_steps,
    executed_notebook,
    first_plan,
    plan_frame,
    retraining_plan,
    second_plan,
    stage_steps,
    training_part,
    will_train,
)
from grader.grading.preloading import Preloading
from grader.grading.tampering import GivenDefinitions, given_definitions
from grader.grading.tampering import answer_specs as given_answer_specs
from grader.notebook.clean_cells import clean_outputs
from grader.notebook.format import cell_title
from grader.notebook.restore import RestoredNotebook, Templates, restore_from_templates
from grader.notebook.roles import Role
from grader.notebook.statements import definitions_of
from grader.records import (
    Address,
    Array,
    Blame,
    CellRun,
    CellStatus,
    Evidence,
    Execution,
    Fault,
    Limits,
    Notebook,
    Remark,
    Rubric,
    Stage,
    Status,
)
from grader.sandbox.backend import IN_BOX, IN_BOX_FOLDER, PROBE
from grader.sandbox.gpu import gpu
from grader.sandbox.in_box.frames import At, CellRequest, CellStep, Printed, Replay, Step
from grader.sandbox.isolation import backend_named
from grader.sandbox.received_frames import Inbox
from grader.sandbox.supervisor import BoxPool, SandboxResult

OF_TRAINING = ("quality", "decode")  # stages that cannot be graded after an unfinished training
OUT_OF_TIME = re.compile(r"stopped after \d+ s")  # of a cell; a cell stopped for too much output has another text
BOX_SAYS = "the sandbox reports a grader fault: "  # unverified: a notebook may have forged the report
MOST_TIMES_GIVEN = 3  # that a stage's questions are sent: kernels may die while they are asked
MAX_FRAMES_READ, MAX_CHARS_READ = 5, 2000  # of a traceback, which is the notebook's text
FIRST_WORDS = {  # kind of a stage -> what the progress output says of it while the notebook itself runs
    "components": "testing the components of {}",
    "sampling": "testing the sampling code of {}",
    "trained": "testing the trained {}",
    "quality": "testing the trained {}",
}
_CELL_LINE = re.compile(r"Cell In\[\d{1,6}\], line (\d{1,5})\b")
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,20}m")
CELL_END_TEXTS = {
    CellStatus.ERROR: "raised {}",
    CellStatus.TIMEOUT: "did not finish: {}",
    CellStatus.DIED: "ended the Python process; the cells after it ran in a new one",
    CellStatus.SKIPPED: "was not run, because the Python process could not be started again",
}
NOT_DONE = {
    CellRequest.END: "asked to end or restart the Python process; the cells after it ran in the same one",
    CellRequest.CLEAR: "asked to delete all variables, which were kept",
}


@dataclass(frozen=True)
class Case:
    """Everything that the boxes of one submission share."""

    restored: RestoredNotebook
    rubric: Rubric
    exercise: Exercise
    questions: Questions
    boxes: BoxPool
    given_definitions: GivenDefinitions = field(default_factory=GivenDefinitions)
    live: Say = unseen  # shows a line that replaces the one before, while a cell runs


def case_of(
    notebook: Notebook,
    templates: Templates,
    rubric: Rubric,
    exercise: Exercise,
    seed: str,
    boxes: BoxPool,
    live: Say = unseen,
) -> Case:
    """The notebook as it is run, with the template's provided code restored, and the questions for this seed."""
    questions = exercise.questions(np.random.default_rng(int(seed, 16)), rubric.sizes)
    refuse_unasked(exercise, questions, exercise.answer_specs(rubric.sizes))
    restored_notebook = restore_from_templates(notebook, templates)
    name = restored_notebook.template
    template = next(templates[path] for path in templates if Path(path).name == name)
    definitions = given_definitions(restored_notebook, template)
    return Case(restored_notebook, rubric.for_template(name), exercise, questions, boxes, definitions, live)


@dataclass(frozen=True)
class NotebookRun:
    """The result of a run: evidence, the executed notebook, and how it went."""

    evidence: Evidence  # as it will be read again
    notebook: Notebook
    execution: Execution


def run_submission(
    case: Case,
    say: Say,
    *,
    parts: Collection[str] | None = None,
    preloading: Preloading | None = None,
) -> NotebookRun:
    """Runs the notebook to its end or to a limit, and returns its answers as evidence.

    If only some `parts` are to be trained, cells that train other parts or only show something are left out, and the
    other parts are asked about components only. The `preloading` runs from the first cell on, when the boxes have
    imported, and pauses while a cell trains, because training uses every core.

    Raises:
        BoxError: no box could be built on this machine.
    """
    names = case.rubric.interface.names
    steps = first_plan(case.restored, case.exercise, names, case.rubric.limits, parts)
    needs_second_box = parts is None and will_train(case.restored, case.exercise, names)
    case.boxes.ensure_waiting(1 + needs_second_box)  # the second one imports while the first one leaves a core idle
    first = _run_in_box(case, steps, case.questions, say, preloading, whole_notebook=True)
    stages = {step.stage for step in stage_steps(steps)}
    specs = _specs(case, case.questions)
    evidence = decode_answers(first.inbox, specs, case.questions, first.status, first.event, stages)
    evidence = _without_cut_off_training(_with_second_box(case, first, evidence, say), case, first)
    evidence = as_stored(with_machine_faults(evidence, case.restored, first.inbox.cells))
    case.boxes.end()  # where there was nothing to decode
    outputs = {index: list(clean_outputs(raw_outputs)) for index, raw_outputs in first.inbox.outputs.items()}
    notebook = executed_notebook(case.restored.notebook, first.inbox.cells, outputs)
    return NotebookRun(evidence, notebook, _execution(first, case, evidence))


def retrain(case: Case, part: str, replacement: Mapping[str, Array], say: Say) -> Evidence:
    """Trains the part with correct code instead of some of the student's, and returns its answers.

    Only the stages that depend on training are answered. Outputs, events and logs of these boxes are
    dropped: they hold parts of a solution.

    Raises:
        BoxError: no box could be built on this machine.
    """
    correct_code_questions = {Stage.of("replace", part): dict(replacement)}
    stages = (Stage.of("trained", part), Stage.of("quality", part))
    stage_questions = {stage: case.questions[stage] for stage in stages if stage in case.questions}
    steps = retraining_plan(case.restored, case.exercise, case.rubric.interface.names, case.rubric.limits, part)
    case.boxes.ensure_waiting(2)
    first = _run_in_box(case, steps, correct_code_questions | stage_questions, say)
    specs = _specs(case, stage_questions)
    evidence = decode_answers(first.inbox, specs, stage_questions, first.status, first.event)
    if (unanswered := first.inbox.unanswered.get(Address.of("replace", part, "replaced"))) is not None:
        fault = Fault(Blame.OURS, f"correct code could not be inserted: {unanswered.error}")
        return Evidence({}, {}, dict.fromkeys(specs, fault))
    evidence = _with_second_box(case, first, evidence, say, first_questions=correct_code_questions)
    evidence = _without_cut_off_training(evidence, case, first)
    case.boxes.end()
    return Evidence({}, evidence.answers, evidence.faults)


def box_pool(
    exercise: Exercise,
    limits: Limits,
    folders: Mapping[str, Path],
    isolation: str,
    private: Collection[Path] = (),
) -> BoxPool:
    """Boxes for submissions of the exercise; `folders` are visible in them as well, by their paths inside.

    `private` are folders that no box may read: see `backend_named`.

    Raises:
        BoxError: for an unknown isolation, or one that this machine does not support.
    """
    contents = {IN_BOX: IN_BOX_FOLDER, PROBE: exercise.in_box, **folders}
    return BoxPool(backend_named(isolation, private), contents, limits, exercise.interface.imports)


def _specs(case: Case, stages: Collection[Stage]) -> dict[Address, AnswerSpec]:
    """Returns the specifications of these stages' answers."""
    specs = dict(case.exercise.answer_specs(case.rubric.sizes))
    specs |= given_answer_specs(case.exercise.parts) if case.given_definitions.questions() else {}
    return {address: spec for address, spec in specs.items() if address.stage in stages}


def _run_in_box(
    case: Case,
    steps: list[Step],
    questions: Questions,
    say: Say,
    preloading: Preloading | None = None,
    *,
    whole_notebook: bool = False,
) -> SandboxResult:
    """Runs the steps in a box; if they are the `whole_notebook`, progress messages name the cells.

    A cell that ends the runner and its whole box (`!kill -9 -1` was a way to restart Colab) costs the same as a cell
    that ends only the Python process: a fresh box runs the steps without it, as often as a kernel may be started again,
    and within the time limit of the whole run. If the runner reports a fault of its own while a cell runs, nothing is
    repeated: the answers count, with the fault.
    """
    limits = case.rubric.limits
    ending_cells: dict[int, CellRun] = {}
    seconds_used = 0.0
    while True:
        remaining = _without(steps, ending_cells)
        result = _run_once(case, remaining, questions, say, preloading, whole_notebook=whole_notebook)
        seconds_used += result.wall_s
        cell = result.at.cell
        is_last_try = len(ending_cells) >= limits.kernel_restarts or seconds_used >= limits.wall_s
        ended_by_cell = result.ended_itself and not result.inbox.faults
        if not ended_by_cell or cell is None or cell in ending_cells or is_last_try:
            break
        ending_cells[cell] = CellRun(cell, CellStatus.DIED, 0.0)  # its duration is unknown
        case.boxes.ensure_waiting(1)
        say(f"cell {cell + 1} ended all processes; the notebook runs again without it")
    result.inbox.cells.update(ending_cells)
    return result


def _without(steps: list[Step], ending_cells: Collection[int]) -> list[Step]:
    """Returns the steps with only the definitions of the `ending_cells`, which ended all processes."""
    remaining_steps: list[Step] = []
    for step in steps:
        if isinstance(step, CellStep) and step.index in ending_cells:
            definitions = "" if step.replay is Replay.NEVER else definitions_of(step.source)
            if not definitions:
                continue
            step = replace(step, source=definitions)
        remaining_steps.append(step)
    return remaining_steps


def _run_once(
    case: Case,
    steps: list[Step],
    questions: Questions,
    say: Say,
    preloading: Preloading | None,
    *,
    whole_notebook: bool,
) -> SandboxResult:
    """Runs the steps in one box."""
    cells = case.restored.notebook["cells"]
    names = case.rubric.interface.names
    indices = [step.index for step in cell_steps(steps)]
    training = {index for index in indices if training_part(case.restored, index, case.exercise, names) is not None}

    live = LiveLine(case.live)
    words = FIRST_WORDS if whole_notebook else case.exercise.stage_words()
    said_lines = {""}

    def report_progress(at: At | Printed) -> None:
        if isinstance(at, Printed):
            live.printed(at.line)
            return
        live.at(at)
        if preloading is not None:
            (preloading.pause if at.cell in training else preloading.go)()
        if at.cell is not None and at.cell < len(cells) and whole_notebook:
            say(f"cell {at.cell + 1} of {len(cells)}: {cell_title(cells, at.cell)}")
        elif (
            at.stage is not None
            and (line := words.get(at.stage.kind, "").format(at.stage.part.upper())) not in said_lines
        ):
            said_lines.add(line)
            say(line)

    question_source = QuestionSource(questions, {step.stage for step in stage_steps(steps) if step.again})
    plan = plan_frame(steps, case.rubric.interface, case.rubric.limits, case.given_definitions)
    try:
        return case.boxes.take().supervise(plan, question_source, report_progress)
    finally:
        live.end()


class QuestionSource:
    """Gives each stage's questions when the box asks for them.

    Before the hidden images of a part are sent, the answers about the part's trained weights are sealed.
    """

    def __init__(self, questions: Questions, asked_twice: Collection[Stage]) -> None:
        self._questions, self._asked_twice = questions, asked_twice
        self._times_given: dict[Stage, int] = {}

    def __call__(self, stage: Stage, inbox: Inbox) -> bytes | None:
        """The questions as a tensor file; None if they are unknown, answered, or must not be sent yet."""
        if stage not in self._questions:
            return None
        times_given = self._times_given.get(stage, 0)
        is_second_asking = stage in self._asked_twice and times_given == 1
        is_unanswered = any(address.stage == stage for address in inbox.unanswered) or stage not in inbox.stages
        if times_given >= MOST_TIMES_GIVEN or (times_given and not is_second_asking and not is_unanswered):
            return None
        _seal_trained_before_images(stage, inbox)
        self._times_given[stage] = times_given + 1
        return save(self._questions[stage])


def _seal_trained_before_images(stage: Stage, inbox: Inbox) -> None:
    """From the moment at which a box gets the hidden images of a part, it can no longer change the trained weights."""
    if stage.kind == "quality":
        inbox.sealed.add(Stage.of("trained", stage.part))


def _with_second_box(
    case: Case,
    first: SandboxResult,
    evidence: Evidence,
    say: Say,
    *,
    first_questions: Questions | None = None,
) -> Evidence:
    """Adds the answers of a fresh box that gets the trained parameters and the codes, not their images.

    `first_questions` are stages that the fresh box gets first.
    """
    exercise, limits = case.exercise, case.rubric.limits
    state_by_part = {
        part: trained_state(first.inbox, part, limits.evidence_mb)
        for part in exercise.parts
        if Address.of("trained", part, "state") in first.inbox.answers
    }
    second_questions = exercise.second_questions(evidence, state_by_part)
    if not second_questions:
        return evidence
    say("testing the trained models in a fresh sandbox")
    questions = {**(first_questions or {}), **second_questions}
    names = case.rubric.interface.names
    steps = second_plan(case.restored, exercise, names, limits, first.inbox.cells, list(questions))
    result = _run_in_box(case, steps, questions, say)
    specs = _specs(case, second_questions)
    return merge_evidence(evidence, decode_answers(result.inbox, specs, {}, result.status, result.event))


def _without_cut_off_training(evidence: Evidence, case: Case, first: SandboxResult) -> Evidence:
    """Removes the answers about a trained model whose provided training cell was still working when its time ran out.

    On a machine slower than the student's that is not a mistake, so it needs manual review. A cell that hangs and never
    started training loses its points.
    """
    training = {index: role for index, role in enumerate(case.restored.roles) if role.role is Role.TRAIN}
    for index, role in training.items():
        if role.part is None or not (reason := _cut_off_reason(first, index, training)):
            continue
        if first.status is not Status.TIMEOUT and not _has_trained(evidence, role.part, case.exercise.interface.steps):
            continue
        training_stages = [Stage.of(kind, role.part) for kind in OF_TRAINING]
        faults_of_training = {address: Fault(Blame.MACHINE, reason) for address in _specs(case, training_stages)}

        def is_unaffected(name: str, stages: Sequence[Stage] = training_stages) -> bool:
            return not any(stage.holds(name) for stage in stages)

        answers = {name: array for name, array in evidence.answers.items() if is_unaffected(name)}
        faults = {name: fault for name, fault in evidence.faults.items() if is_unaffected(name)}
        evidence = Evidence(evidence.questions, answers, faults | faults_of_training)
    return evidence


def _has_trained(evidence: Evidence, part: str, question: str) -> bool:
    """Whether the training started, as this question of the stage `trained` shows; False without a question."""
    prefix = f"{Address.of('trained', part, question)}/" if question else ""
    return bool(prefix) and any(name.startswith(prefix) for name in evidence.answers)


def _cut_off_reason(first: SandboxResult, index: int, training: Collection[int]) -> str:
    """Returns which time limit, of the cell or the whole run, stopped the training in that cell; empty if none did."""
    run = first.inbox.cells.get(index)
    if run is not None and run.status is CellStatus.TIMEOUT and OUT_OF_TIME.fullmatch(run.error):
        return f"the training in cell {index + 1} was {run.error}, before it was finished"
    if first.status is Status.TIMEOUT and first.at.cell in training and run is None:
        return f"{first.event}, before the training in cell {index + 1} was finished"
    return ""


def _execution(first: SandboxResult, case: Case, evidence: Evidence) -> Execution:
    cells = tuple(first.inbox.cells[index] for index in sorted(first.inbox.cells))
    events = []
    for run in cells:
        is_known = run.index < len(case.restored.roles)
        title = cell_title(case.restored.notebook["cells"], run.index) if is_known else ""
        where = f"cell {run.index + 1} ({title})"
        if (line := _error_line(first.inbox.outputs.get(run.index, []))) is not None:
            where += f", line {line},"
        if run.asked:
            events.append(f"{where} {NOT_DONE[run.asked]}")
        if run.status in CELL_END_TEXTS:
            events.append(f"{where} {CELL_END_TEXTS[run.status].format(run.error)}")
    if first.event:
        where = "" if first.at.cell is None else f" while cell {first.at.cell + 1} was running"
        events.append(first.event + where)
    status = first.status
    if status is Status.OK and any(run.status != CellStatus.OK for run in cells):
        status = Status.CELL_ERROR
    events += [f"{BOX_SAYS}{fault}" for fault in first.inbox.faults]
    return Execution(
        status=status,
        exit_code=first.exit_code,
        wall_s=round(first.wall_s, 1),
        cpu_s=round(first.cpu_s, 1),
        peak_memory_mb=round(first.peak_memory_mb),
        device=_device(evidence, case.exercise),
        isolation=case.boxes.isolation,
        cells=cells,
        events=tuple(events),
        log_tail=first.log_tail[-4000:],
    )


def _error_line(outputs: Sequence[Any]) -> int | None:
    """The line of the cell in which an error was raised, as its traceback says; None where there is none."""
    for output in outputs:
        traceback = output.get("traceback") if isinstance(output, dict) else None
        for text in traceback[:MAX_FRAMES_READ] if isinstance(traceback, list) else ():
            if isinstance(text, str) and (match := _CELL_LINE.search(_COLOUR.sub("", text[:MAX_CHARS_READ]))):
                return int(match[1])
    return None


def _device(evidence: Evidence, exercise: Exercise) -> str:
    """The device of the trained models, according to the evidence."""
    if 1 in _device_answers(evidence, exercise, "cuda"):
        card = gpu()
        return "cuda" if card is None else f"cuda ({card.name})"
    return "cpu"


def unused_gpu(notebook_run: NotebookRun, exercise: Exercise, boxes: BoxPool) -> tuple[Remark, ...]:
    """A remark if the box had a GPU and every trained model was on the CPU; it costs no points.

    Whether the notebook or this machine is the reason follows from whether PyTorch saw the GPU in the box.
    """
    on_gpu = _device_answers(notebook_run.evidence, exercise, "cuda")
    if not boxes.has_gpu or not on_gpu or 1 in on_gpu:
        return ()
    card = gpu()
    first_clause = "This machine has a GPU" + ("" if card is None else f" ({card.name})")
    if 1 in _device_answers(notebook_run.evidence, exercise, "usable"):
        return (Remark("models_on_cpu", f"{first_clause}, but the notebook's models were on the CPU."),)
    second_clause = "this is a problem of this machine, not of the notebook; `python -m grader doctor` says why"
    return (Remark("gpu_not_usable", f"{first_clause}, but the sandbox could not use it: {second_clause}."),)


def _device_answers(evidence: Evidence, exercise: Exercise, name: str) -> list[int]:
    """The answers of the parts about the device of their trained model: 1 for yes."""
    addresses = (Address.of("trained", part, "device").array(name) for part in exercise.parts)
    answers = [evidence.answers[address] for address in addresses if address in evidence.answers]
    return [int(answer.reshape(-1)[0]) for answer in answers if answer.size == 1]

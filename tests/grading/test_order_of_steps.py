"""The order of cells and questions, planned before the notebook runs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from small_exercise import notebook, running

from grader.grading.plan import cell_steps, executed_notebook, first_plan, plan_frame, second_plan, stage_steps
from grader.notebook.format import source_of
from grader.records import CellRun, CellStatus, Interface, Notebook, Stage
from grader.sandbox.in_box.frames import CellStep, Step, to_box
from grader.skeleton.exercise.plugin import TwoNumbers

LIMITS = running.rubric().limits


def names(steps: Sequence[Step], submission: Notebook) -> list[str]:
    """The steps in order: ids of cells, and stages."""
    cells = running.restored(submission).notebook["cells"]
    return [cells[step.index]["id"] if isinstance(step, CellStep) else step.stage for step in steps]


def first(submission: Notebook, **mapped: str) -> list[str]:
    return names(first_plan(running.restored(submission), TwoNumbers(), mapped, LIMITS), submission)


def before(order: list[str], *steps: str) -> bool:
    """Whether these come in this order, each where it is first."""
    places = [order.index(name) for name in steps]
    return places == sorted(places)


def foreign(*sources: str) -> Notebook:
    """A notebook that has nothing to do with the template."""
    cells = [notebook.code_cell(source, f"own-{n}") for n, source in enumerate(sources)]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def test_components_are_asked_before_training_and_quality_before_the_next_part_trains() -> None:
    order = first(notebook.submission())
    assert before(
        order, "train-one", "components.one", "run-one", "trained.one", "quality.one", "run-two", "trained.two"
    )
    assert before(order, "triple", "components.two", "run-two", "quality.two")
    assert before(order, "show-one", "trained.one")


def test_the_trained_numbers_are_asked_for_before_the_questions_about_quality() -> None:
    order = first(notebook.submission())
    for part in ("one", "two"):
        assert before(order, f"trained.{part}", f"quality.{part}")


def test_everything_is_asked_again_at_the_end_for_what_is_missing() -> None:
    order = first(notebook.submission())
    last = order[order.index("show-two") + 1 :]
    for kind in ("components", "trained", "quality"):
        assert {f"{kind}.one", f"{kind}.two"} <= set(last)


def test_without_training_the_code_is_asked_for_where_a_grade_asks_for_it() -> None:
    submission = notebook.submission()
    submission["cells"].append(notebook.code_cell("x = 1", "late"))
    plans = [first_plan(running.restored(submission), TwoNumbers(), {}, LIMITS, parts) for parts in (None, ())]
    graded, checked = (names(plan, submission) for plan in plans)
    left_out = set(graded) - set(checked)
    assert [step for step in graded if step not in left_out] == checked
    assert {name.partition(".")[0] for name in left_out if "." in name} == {"ended", "trained", "quality"}
    assert before(checked, "train-one", "components.one", "triple")  # as defined there, whatever the end defines


def test_without_training_what_a_training_cell_defines_is_there() -> None:
    steps = first_plan(running.restored(foreign("def train_one(m): pass\ntrain_one(m)")), TwoNumbers(), {}, LIMITS, ())
    assert [step.source for step in cell_steps(steps)] == ["def train_one(m): pass"]


def again(*late: str) -> set[str]:
    """The stages that are asked once more, whatever the answers, when these cells come last."""
    submission = notebook.submission()
    submission["cells"] += [notebook.code_cell(source, f"late-{n}") for n, source in enumerate(late)]
    steps = first_plan(running.restored(submission), TwoNumbers(), {}, LIMITS)
    return {step.stage for step in stage_steps(steps) if step.again}


def test_components_defined_again_after_training_are_asked_again() -> None:
    assert "components.one" in again("def double(x):\n    return x + x")


def test_components_are_asked_again_for_nothing_else() -> None:
    assert again() == set()
    assert again("one = {'weight': 5.0}") == set()


def test_a_foreign_notebook_is_asked_where_it_trains_or_at_the_end() -> None:
    order = first(foreign("def double(x): return 2 * x", "train_one(m, 1)", "print(1)"))
    assert order[:3] == ["own-0", "components.one", "own-1"]
    assert {"components.two", "trained.one", "quality.one"} <= set(order[4:])
    order = first(foreign("print(1)"))
    assert order[0] == "own-0"
    assert before(order, "components.one", "trained.one", "quality.one", "components.two")


def test_a_course_with_names_of_its_own_is_asked_where_its_function_is_called() -> None:
    order = first(foreign("fit(m)", "print(1)"), train_one="fit")
    assert order[:2] == ["components.one", "own-0"]


def test_unparsable_cells_are_run_like_any_other() -> None:
    order = first(foreign("def double(x:", "train_one(m, 1)"))
    assert order[:3] == ["own-0", "components.one", "own-1"]


def test_without_training_nothing_trains_or_shows() -> None:
    submission = notebook.submission()
    order = names(first_plan(running.restored(submission), TwoNumbers(), {}, LIMITS, ()), submission)
    assert {"run-one", "run-two", "show-one", "show-two"}.isdisjoint(order)
    assert {"double", "train-one", "components.one", "components.two"} <= set(order)
    assert not [name for name in order if name.startswith(("trained", "quality", "decode"))]


def test_the_second_box_runs_definitions_that_ran_and_no_training() -> None:
    own = ["import time\ntime.sleep(100)", "1 / 0", "import os; os._exit(1)", "os._exit(1)", "N = 3\nwhile N: pass"]
    submission = notebook.submission(own)
    restored = running.restored(submission)
    statuses = {
        "own-0": (CellStatus.OK, LIMITS.replay_s + 1),
        "own-1": (CellStatus.ERROR, 0.1),
        "own-2": (CellStatus.DIED, 0.1),
        "own-3": (CellStatus.DIED, 0.1),
        "own-4": (CellStatus.TIMEOUT, 0.1),
    }
    runs = {
        index: CellRun(index, *statuses.get(cell["id"], (CellStatus.OK, 0.1)))
        for index, cell in enumerate(restored.notebook["cells"])
    }
    steps = second_plan(restored, TwoNumbers(), {}, LIMITS, runs, [Stage("decode.one")])
    cells, order = restored.notebook["cells"], names(steps, submission)
    assert order[-1] == "decode.one"
    assert {"setup", "constants", "own-1", "double", "triple"} <= set(order)
    assert {"own-3", "show-one"}.isdisjoint(order)
    sources = {cells[step.index]["id"]: step.source for step in cell_steps(steps)}
    assert (sources["own-2"], sources["own-4"]) == ("import os", "N = 3")  # what they define, and nothing else
    assert (sources["run-one"], sources["run-two"]) == ("one = {'weight': 1.0}", "two = {'weight': 1.0}")


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.kill(os.getpid(), 9)",
        "import os; os._exit(00)",
        "!kill -9 -1",
        "def restart():\n    os.abort()\nrestart()",
    ],
)
def test_trained_models_are_asked_before_a_cell_that_seems_to_end_the_process(source: str) -> None:
    submission = notebook.submission()
    submission["cells"].append(notebook.code_cell(source, "late"))
    order = first(submission)
    assert before(order, "run-two", "trained.two", "quality.two", "late")
    submission["cells"].append(notebook.code_cell("train_two(two, STEPS)", "later"))
    assert before(first(submission), "late", "later", "trained.two")  # there is more to come


def test_a_cell_that_ends_nothing_is_asked_nothing_before() -> None:
    submission = notebook.submission()
    submission["cells"].append(notebook.code_cell("print('killed')\nskill(9)", "late"))
    assert before(first(submission), "late", "trained.two")


def test_a_plan_is_plain_data_with_the_cells_sources() -> None:
    submission = notebook.submission()
    restored = running.restored(submission)
    frame = plan_frame(first_plan(restored, TwoNumbers(), {}, LIMITS), Interface(names={"double": "twice"}), LIMITS)
    cells = restored.notebook["cells"]
    for step in cell_steps(frame.steps):
        assert (step.timeout_s, step.source) == (LIMITS.cell_s, source_of(cells[step.index]))
    assert all(step.timeout_s == LIMITS.probe_s for step in stage_steps(frame.steps))
    assert frame.interface["names"] == {"double": "twice"}
    assert to_box(*frame.encode()) == frame


def test_the_executed_notebook_shows_this_run_only() -> None:
    submission = notebook.submission(["print(1)", "print(2)"])
    submission["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "old"}]
    new = [{"output_type": "stream", "name": "stdout", "text": "new"}]
    shown_notebook = executed_notebook(
        submission, {2: CellRun(2, CellStatus.OK, 0.1), 3: CellRun(3, CellStatus.SKIPPED, 0.0)}, {2: new}
    )
    assert shown_notebook["cells"][2]["outputs"] == new
    assert shown_notebook["cells"][2]["execution_count"] == 1
    assert shown_notebook["cells"][3]["outputs"] == []
    assert shown_notebook["cells"][3]["execution_count"] is None
    assert submission["cells"][2]["outputs"][0]["text"] == "old"

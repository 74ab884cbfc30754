"""The shipped rubric is the exercise sheet's; every way to break a rubric is refused in one line that says where."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_exercise import running

from grader.errors import RubricError
from grader.records import FollowThrough, Interface
from grader.rubric import load_rubric

SHIPPED = Path(__file__).parents[2] / "rubric.yaml"
SHEET = [
    ("vae.encoder_decoder", 20, "Implement VAE Encoder and Decoder"),
    ("vae.reparameterization", 5, "Implement the reparameterization trick"),
    ("vae.loss", 5, "Implement VAE losses"),
    ("vae.training", 5, "Implement the training loop"),
    ("vae.reconstruction", 5, "Reach acceptable reconstruction quality"),
    ("vae.generation", 10, "Implement the sampling code and reach acceptable generation quality"),
    ("cvae.encoder_decoder", 20, "Implement CVAE Encoder and Decoder"),
    ("cvae.reparameterization", 5, "Implement the reparameterization trick"),
    ("cvae.training", 5, "Implement the training loop"),
    ("cvae.reconstruction", 5, "Reach acceptable reconstruction quality"),
    ("cvae.generation", 15, "Implement the conditional sampling code and reach acceptable generation quality"),
]


def test_the_shipped_rubric_is_the_sheets() -> None:
    rubric, exercise = load_rubric(SHIPPED)
    assert [(item.id, item.points_milli / 1000, item.title) for item in rubric.items] == SHEET
    assert rubric.points_milli == 100_000
    for part in exercise.parts:
        assert sum(i.points_milli for i in rubric.items if i.id.startswith(f"{part}.")) == 50_000
    for item in rubric.items:
        assert sum(check.points_milli for check in item.checks) == item.points_milli


def test_every_check_of_the_exercise_is_worth_something() -> None:
    rubric, exercise = load_rubric(SHIPPED)
    assert set(exercise.checks) == {spec.check for item in rubric.items for spec in item.checks}


def test_the_exercise_describes_every_item_and_no_other() -> None:
    rubric, exercise = load_rubric(SHIPPED)
    assert set(exercise.items) == {item.id for item in rubric.items}
    for spec in exercise.items.values():
        assert spec.annotated_names
        assert all(exercise.items[earlier].implements for earlier in spec.depends_on)
        assert {name.partition(".")[0] for name in spec.implements} <= set(exercise.interface.names)


def test_another_exercises_rubric_is_bound_to_it(tmp_path: Path) -> None:
    rubric, exercise = load_rubric(written(tmp_path, ""))
    assert rubric.exercise == "grader.skeleton.exercise"
    assert rubric.items[1].checks[1].presupposes == ("training_lowers_the_loss",)
    assert rubric.items[0].checks[0].params == {"tolerance": 1e-5}
    assert list(exercise.parts) == ["one", "two"]


WRONG = {
    "unknown key": ("title: Two numbers", "tittle: Two numbers", ["tittle", "title"]),
    "title missing": ("title: Two numbers\n", "", ["title: is missing; add it"]),
    "unknown exercise": ("exercise: grader.skeleton.exercise", "exercise: no_such.exercise", ["no_such.exercise"]),
    "not an exercise": ("exercise: grader.skeleton.exercise", "exercise: json", ["json", "exercise()"]),
    "wrong part sum": ("{one: 6,", "{one: 7,", ["points", "one", "7", "6"]),
    "a part left out": ("points: {one: 6, two: 3}", "points: {one: 6}", ["points", "two", "3"]),
    "wrong item sum": ("    points: 4\n", "    points: 5\n", ["item 'one.training'", "5", "4"]),
    "unknown check": (
        "      function_multiplies: {points: 2, tolerance: 1.0e-5}\n  - id: one.training",
        "      function_multiply: {points: 2, tolerance: 1.0e-5}\n  - id: one.training",
        ["item 'one.function'", "'function_multiply'", "did you mean 'function_multiplies'?"],
    ),
    "number missing": (
        "training_lowers_the_loss: {points: 1, zero_at: 1.0, full_at: 0.1}",
        "training_lowers_the_loss: {points: 1, zero_at: 1.0}",
        ["item 'two.training'", "'training_lowers_the_loss'", "full_at is missing"],
    ),
    "unknown number": (
        "tolerance: 1.0e-4}",
        "tolerence: 1.0e-4}",
        ["item 'one.training'", "'tolerence'", "did you mean 'tolerance'?"],
    ),
    "not a number": ("tolerance: 1.0e-4}", "tolerance: small}", ["item 'one.training'", "tolerance", "'small'"]),
    "not a finite number": ("tolerance: 1.0e-4}", "tolerance: .inf}", ["item 'one.training'", "tolerance", "inf"]),
    "points missing": ("{points: 1, zero_at", "{zero_at", ["item 'two.training'", "points are missing"]),
    "negative points": ("{points: 1, zero_at", "{points: -1, zero_at", ["item 'two.training'", "-1"]),
    "no points": ("{points: 1, zero_at", "{points: 0, zero_at", ["item 'two.training'", "positive"]),
    "points too fine": ("{points: 1, zero_at", "{points: 0.99999, zero_at", ["item 'two.training'", "0.99999"]),
    "points between steps": (
        "points_step: 0.5",
        "points_step: 0.8",
        ["item 'one.function'", "'function_multiplies'", "multiple of points_step, 0.8, got 2"],
    ),
    "no step": ("points_step: 0.5", "points_step: 0", ["points_step", "positive", "0"]),
    "step missing": ("points_step: 0.5\n", "", ["points_step: is missing; add it"]),
    "negative item": ("    points: 4\n", "    points: -4\n", ["items[1].points", "-4"]),
    "zero is full": (
        "{points: 1, zero_at: 1.0, full_at: 0.1}",
        "{points: 1, zero_at: 0.1, full_at: 0.1}",
        ["item 'two.training'", "zero_at and full_at are both 0.1"],
    ),
    "thresholds reversed": (
        "{points: 1, zero_at: 1.0, full_at: 0.1}",
        "{points: 1, zero_at: 0.1, full_at: 1.0}",
        ["item 'two.training'", "zero_at above full_at", "smaller number is better", "zero_at 0.1 and full_at 1.0"],
    ),
    "duplicate id": ("id: two.function", "id: one.function", ["one.function", "two items have this id"]),
    "unknown part": ("id: two.training", "id: tow.training", ["item 'tow.training'", "'tow'", "did you mean 'two'?"]),
    "bad id": ("id: two.training", "id: Two Training", ["items[3].id", "Two Training"]),
    "duplicate key": ("  disk_mb: 20\n", "  disk_mb: 20\n  disk_mb: 30\n", ["line 42", "'disk_mb' is given twice"]),
    "unknown limit": ("  disk_mb: 20", "  disc_mb: 20", ["limits", "'disc_mb'", "did you mean 'disk_mb'?"]),
    "limit missing": ("  disk_mb: 20\n", "", ["limits: disk_mb is missing"]),
    "zero limit": ("  disk_mb: 20", "  disk_mb: 0", ["limits: disk_mb", "got 0"]),
    "limit not finite": ("  wall_s: 60", "  wall_s: .nan", ["limits: wall_s", "nan"]),
    "unknown size": ("{numbers: 16}", "{number: 16}", ["sizes", "'number'", "did you mean 'numbers'?"]),
    "size missing": ("{numbers: 16}", "{}", ["sizes: numbers is missing"]),
    "size zero": ("{numbers: 16}", "{numbers: 0}", ["sizes: numbers", "got 0"]),
    "size not whole": ("{numbers: 16}", "{numbers: 1.5}", ["sizes.numbers", "1.5"]),
    "limit not whole": ("  disk_mb: 20", "  disk_mb: 20.5", ["limits: disk_mb", "whole", "20.5"]),
    "flat names": ("sizes:", "interface: {double: d}\nsizes:", ["interface", "`interface: {names: {double: d}}`"]),
    "unknown name": (
        "sizes:",
        "interface: {names: {doubel: d}}\nsizes:",
        ["interface: names", "'doubel'", "did you mean 'double'?"],
    ),
    "not a name": ("sizes:", "interface: {names: {double: a b}}\nsizes:", ["names: double", "Python name", "'a b'"]),
    "a keyword": ("sizes:", "interface: {names: {double: class}}\nsizes:", ["names: double", "'class'"]),
    "unknown section": ("sizes:", "interface: {nams: {}}\nsizes:", ["interface", "'nams'", "did you mean 'names'?"]),
    "names no mapping": ("sizes:", "interface: {names: [double]}\nsizes:", ["interface: names", "mapping"]),
    "unknown function": (
        "sizes:",
        "interface: {arguments: {train_on: [steps, model]}}\nsizes:",
        ["interface: arguments", "'train_on'", "did you mean 'train_one'?"],
    ),
    "unknown argument": (
        "sizes:",
        "interface: {arguments: {train_one: [step, model]}}\nsizes:",
        ["arguments: train_one", "'step'", "did you mean 'steps'?"],
    ),
    "no permutation": (
        "sizes:",
        "interface: {arguments: {train_one: [model, model]}}\nsizes:",
        ["arguments: train_one", "each of model, steps once", "got model, model"],
    ),
    "a value dropped": (
        "sizes:",
        "interface: {arguments: {train_one: [model]}}\nsizes:",
        ["each of model, steps once"],
    ),
    "no list": ("sizes:", "interface: {arguments: {train_one: model}}\nsizes:", ["train_one", "list", "'model'"]),
    "nothing returned": ("sizes:", "interface: {returns: {double: [y]}}\nsizes:", ["interface: returns", "'double'"]),
    "unknown option": ("sizes:", "interface: {number: lists}\nsizes:", ["interface", "did you mean 'numbers'?"]),
    "unknown choice": (
        "sizes:",
        "interface: {numbers: list}\nsizes:",
        ["interface: numbers", "'list'", "did you mean 'lists'?"],
    ),
    "following too far": (
        "sizes:",
        "follow_through: {enabled: true, max_replaced: 1, share: 1.5}\nsizes:",
        ["follow_through.share", "1.5"],
    ),
    "following nobody": (
        "sizes:",
        "follow_through: {enabled: true, max_replaced: 0, share: 1}\nsizes:",
        ["follow_through.max_replaced", "0"],
    ),
    "following an unknown item": (
        "sizes:",
        "follow_through: {enabled: false, max_replaced: 1, share: 1, min_earned: {one.functio: 0.5}}\nsizes:",
        ["follow_through.min_earned: one.functio", "did you mean 'one.function'?"],
    ),
    "following too little": (
        "sizes:",
        "follow_through: {enabled: false, max_replaced: 1, share: 1, min_earned: {one.function: 30}}\nsizes:",
        ["follow_through.min_earned: one.function", "from 0 to 1, got 30"],
    ),
    "following misspelt": (
        "sizes:",
        "follow_through: {enabled: true, max_replaced: 1, shared: 1}\nsizes:",
        ["follow_through.shared", "did you mean 'share'?"],
    ),
    "presupposed check below": (
        "      training_lowers_the_loss: {points: 2, zero_at: 1.0, full_at: 0.1}\n"
        "      fresh_process_agrees: {points: 2, tolerance: 1.0e-4}  # second box\n",
        "      fresh_process_agrees: {points: 2, tolerance: 1.0e-4}\n"
        "      training_lowers_the_loss: {points: 2, zero_at: 1.0, full_at: 0.1}\n",
        ["item 'one.training'", "'fresh_process_agrees'", "presupposes 'training_lowers_the_loss'", "move"],
    ),
    "requires": (
        "tolerance: 1.0e-4}",
        "tolerance: 1.0e-4, requires: [training_lowers_the_loss]}",
        ["item 'one.training'", "'fresh_process_agrees'", "remove `requires`", "@check(presupposes=...)"],
    ),
    "settings are no mapping": ("{points: 1, zero_at: 1.0, full_at: 0.1}", "5", ["training_lowers_the_loss", "5"]),
    "not YAML": ("limits:\n", "limits: [\n", ["line", "not valid YAML"]),
    "a tab": ("  disk_mb: 20", "\tdisk_mb: 20", ["line 41", "not valid YAML"]),
    "a list as key": ("sizes:", "? [a, b]\n: 1\nsizes:", ["rubric.yaml"]),
}


def refusal(path: Path) -> str:
    with pytest.raises(RubricError) as error:
        load_rubric(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 300
    return str(error.value)


@pytest.mark.parametrize(("old", "new", "parts"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_rubric_is_refused_with_the_place_of_the_error(
    tmp_path: Path, old: str, new: str, parts: list[str]
) -> None:
    text = running.rubric_text()
    assert old in text
    path = tmp_path / "rubric.yaml"
    path.write_text(text.replace(old, new, 1))
    line = refusal(path)
    assert line.startswith("rubric.yaml")
    assert [part for part in parts if part not in line] == []


@pytest.mark.parametrize(
    "content", [b"", b"5", b"- a\n- b", b"\xff\xfe\x00", b"\x00", b"a: &a [*a]", b"!!python/object:os.system x"]
)
def test_files_that_are_not_rubrics_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rubric.yaml"
    path.write_bytes(content)
    assert refusal(path).startswith("rubric.yaml")


def test_folders_missing_files_and_huge_files_are_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path)
    assert "cannot be read" in refusal(tmp_path / "rubric.yaml")
    (tmp_path / "large.yaml").write_text("#" * 2_000_000)
    assert "is this the rubric?" in refusal(tmp_path / "large.yaml")


def written(folder: Path, more: str) -> Path:
    path = folder / "rubric.yaml"
    path.write_text(running.rubric_text() + "\n" + more + "\n")
    return path


def test_only_the_courses_deviations_from_the_interface_are_kept(tmp_path: Path) -> None:
    settings = "names: {double: twice, triple: triple}, arguments: {train_one: [steps, model]}, numbers: lists"
    interface = load_rubric(written(tmp_path, f"interface: {{{settings}}}"))[0].interface
    assert interface.names == {"double": "twice"}
    assert interface.arguments == {"train_one": ("steps", "model")}
    assert (interface.returns, interface.options) == ({}, {"numbers": "lists"})
    plain = load_rubric(written(tmp_path, "interface: {arguments: {train_one: [model, steps]}, numbers: arrays}"))[0]
    assert plain.interface == Interface({}, {}, {}, {})


def test_follow_through_is_off_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert load_rubric(written(tmp_path, ""))[0].follow_through == FollowThrough(enabled=False)
    more = "reference: reference.ipynb\nfollow_through: {enabled: true, max_replaced: 2, share: 0.5}"
    assert load_rubric(written(tmp_path, more))[0].follow_through == FollowThrough(True, 2, 0.5)


def test_a_rubric_extends_another_by_whole_keys(tmp_path: Path) -> None:
    whole = written(tmp_path, "interface: {names: {double: twice}}")
    (tmp_path / "course").mkdir()
    path = tmp_path / "course" / "rubric.yaml"
    path.write_text("extends: ../rubric.yaml\ntitle: Other\nsizes: {numbers: 5}\n")
    rubric, (other, _) = load_rubric(path)[0], load_rubric(whole)
    assert (rubric.title, rubric.sizes, rubric.template) == ("Other", {"numbers": 5}, "../template.ipynb")
    assert (rubric.items, rubric.limits, rubric.interface) == (other.items, other.limits, other.interface)
    before = rubric.sha256
    whole.write_text(whole.read_text() + "# changed\n")
    assert load_rubric(path)[0].sha256 != before


@pytest.mark.parametrize(
    ("line", "excerpt"),
    [
        ("extends: ../rubric.yaml\ntitel: Other", "titel"),
        ("extends: 5", "relative"),
        ("extends: /rubric.yaml", "relative"),
        ("extends: ../missing.yaml", "cannot be read"),
        ("extends: rubric.yaml", "extends 'rubric.yaml' itself"),
        ("extends: list.yaml", "expected a rubric"),
    ],
)
def test_rubrics_that_cannot_be_extended_are_refused(tmp_path: Path, line: str, excerpt: str) -> None:
    written(tmp_path, "")
    (tmp_path / "course").mkdir()
    path = tmp_path / "course" / "rubric.yaml"
    path.write_text(line)
    (tmp_path / "course" / "list.yaml").write_text("- a")
    message = refusal(path)
    assert message.startswith("rubric.yaml")
    assert excerpt in message

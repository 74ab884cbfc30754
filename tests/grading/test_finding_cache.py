"""Grading from cached findings gives the same as measuring again, and findings of other evidence are not used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_exercise import running

from grader.checks import Measurement, check, score_measurement
from grader.errors import EvidenceError
from grader.evidence import NotAnswered, save_evidence
from grader.grading.finding_cache import FindingCache, cache_key, read_findings, write_findings
from grader.grading.follow_through import Replacement, Retraining
from grader.grading.regrade import verdicts
from grader.grading.run_files import EVIDENCE, FINDINGS
from grader.grading.stored_run import store_retraining
from grader.grading.verdicts import item_verdicts
from grader.records import Evidence, Fault, Finding, FollowThrough, Outcome, Rubric
from grader.skeleton.exercise.plugin import TwoNumbers
from grader.skeleton.exercise.questions import FACTORS

RUBRIC = running.rubric()
MADE_OF = {"code": "x"}


def read_back(findings: FindingCache, folder: Path, made_of: Mapping[str, str] = MADE_OF) -> FindingCache:
    """The findings as they come back from a file."""
    write_findings(folder / "findings.json", findings, MADE_OF)
    return read_findings(folder / "findings.json", made_of)


def evidence(**changed: Any) -> Evidence:
    """What a right solution answers, or another one."""
    x = np.linspace(-1, 1, 16, dtype=np.float32)
    questions = {f"{kind}.{part}/x": x for part in FACTORS for kind in ("components", "trained", "quality")}
    answers: dict[str, Any] = {}
    for part, factor in FACTORS.items():
        answers[f"components.{part}/function/y"] = factor * x
        answers[f"trained.{part}/history/history"] = np.array([4.0, 1.5, 0.9], dtype=np.float32)
        answers[f"quality.{part}/apply/y"] = 5 * x
        answers[f"decode.{part}/apply/y"] = 25 * x
    answers |= {name.replace("__", "/").replace("_DOT_", "."): value for name, value in changed.items()}
    return Evidence(questions, {name: value for name, value in answers.items() if value is not None})


def moved(rubric: Rubric, **numbers: float) -> Rubric:
    """The rubric with these numbers, wherever a check has them."""
    items = tuple(
        replace(
            item,
            checks=tuple(
                replace(spec, params={**spec.params, **{n: v for n, v in numbers.items() if n in spec.params}})
                for spec in item.checks
            ),
        )
        for item in rubric.items
    )
    return replace(rubric, items=items)


RUBRICS: Mapping[str, Rubric] = {
    "as it is": RUBRIC,
    "full credit earlier": moved(RUBRIC, full_at=0.3),
    "nothing earlier": moved(RUBRIC, zero_at=0.2),
    "another tolerance": moved(RUBRIC, tolerance=1e-9),
    "half the points": replace(RUBRIC, items=tuple(replace(i, points_milli=i.points_milli // 2) for i in RUBRIC.items)),
    "nothing presupposed": replace(
        RUBRIC,
        items=tuple(replace(i, checks=tuple(replace(s, presupposes=()) for s in i.checks)) for i in RUBRIC.items),
    ),
}


@pytest.mark.parametrize("first", RUBRICS)
@pytest.mark.parametrize("second", RUBRICS)
def test_a_rubric_gives_the_same_with_what_another_left_in_the_cache(first: str, second: str, tmp_path: Path) -> None:
    answers = evidence(components_DOT_one__function__y=None)
    findings = FindingCache()
    item_verdicts(answers, RUBRICS[first], TwoNumbers.checks, findings)
    read_again = read_back(findings, tmp_path)
    assert len(read_again.entries) == len(findings.entries) > 0
    assert item_verdicts(answers, RUBRICS[second], TwoNumbers.checks, read_again) == item_verdicts(
        answers, RUBRICS[second], TwoNumbers.checks
    )


def test_cached_findings_are_not_measured_again_and_evidence_is_not_read(tmp_path: Path) -> None:
    (tmp_path / EVIDENCE).write_bytes(save_evidence(evidence()))
    once = verdicts(tmp_path, RUBRIC, TwoNumbers(), keep=True)

    blind = TwoNumbers()
    blind.checks = {
        name: replace(own_check, measure=lambda *_, **__: pytest.fail("measured again"))
        for name, own_check in TwoNumbers.checks.items()
    }
    assert [item.points_milli for item in verdicts(tmp_path, RUBRIC, blind)] == [i.points_milli for i in once]


def test_other_evidence_drops_the_folders_findings(tmp_path: Path) -> None:
    (tmp_path / EVIDENCE).write_bytes(save_evidence(evidence()))
    before = verdicts(tmp_path, RUBRIC, TwoNumbers(), keep=True)
    (tmp_path / EVIDENCE).write_bytes(save_evidence(evidence(components_DOT_one__function__y=np.zeros(16, np.float32))))
    after = verdicts(tmp_path, RUBRIC, TwoNumbers())
    assert (before[0].points_milli, after[0].points_milli) == (2000, 0)


def test_follow_through_has_findings_of_its_own(tmp_path: Path) -> None:
    rubric = replace(RUBRIC, follow_through=FollowThrough(enabled=True, max_replaced=1, share=1.0))
    affected = evidence(
        components_DOT_one__function__y=np.zeros(16, np.float32),
        trained_DOT_one__history__history=np.array([4.0, 4.0], np.float32),
    )
    (tmp_path / EVIDENCE).write_bytes(save_evidence(affected))
    sound = {name: array for name, array in evidence().answers.items() if not name.startswith("components")}
    store_retraining(tmp_path, "one", Retraining(Replacement(("one.function",), ("double",)), "", Evidence({}, sound)))
    once = verdicts(tmp_path, rubric, TwoNumbers(), keep=True)
    assert once[1].gained_milli > 0
    assert verdicts(tmp_path, rubric, TwoNumbers()) == once


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"made_of": 1}', b'{"made_of": {}, "value": 3}'])
def test_a_damaged_cache_is_dropped(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / EVIDENCE).write_bytes(save_evidence(evidence()))
    once = verdicts(tmp_path, RUBRIC, TwoNumbers(), keep=True)
    (tmp_path / FINDINGS).write_bytes(damage)
    assert verdicts(tmp_path, RUBRIC, TwoNumbers()) == once


def test_findings_of_another_grader_are_dropped(tmp_path: Path) -> None:
    findings = FindingCache()
    item_verdicts(evidence(), RUBRIC, TwoNumbers.checks, findings)
    assert read_back(findings, tmp_path, {"code": "y"}).entries == {}


def test_grader_faults_are_not_cached_and_students_faults_are(tmp_path: Path) -> None:
    def fails(blame: str) -> Any:
        def make() -> Finding:
            raise NotAnswered(Fault(blame, "no answer"))

        return make

    findings = FindingCache()
    for blame in ("ours", "student", "nobody"):
        with pytest.raises(NotAnswered):
            findings.get(blame, fails(blame))
    assert set(findings.entries) == {"student", "nobody"}
    with pytest.raises(NotAnswered, match="no answer"):
        read_back(findings, tmp_path).get("student", lambda: pytest.fail("asked again"))


def test_numbers_that_no_json_holds_are_not_cached(tmp_path: Path) -> None:
    findings = FindingCache()
    findings.get("a", lambda: Finding(1.0, "", measured={"x": float("inf")}))
    findings.get("b", lambda: Finding(1.0, "", measured={"x": np.float32(0.1), "n": np.int64(3)}))
    assert list(findings.entries) == ["b"]
    assert read_back(findings, tmp_path).entries["b"] == findings.entries["b"]


def test_missing_evidence_is_reported_and_costs_no_points(tmp_path: Path) -> None:
    (tmp_path / EVIDENCE).write_bytes(b"damaged")
    with pytest.raises(EvidenceError, match="grade again"):
        verdicts(tmp_path, RUBRIC, TwoNumbers())


def test_a_check_with_thresholds_is_bound_like_any_other_and_scores_what_it_measures() -> None:
    @check(has_thresholds=True)
    def taller(evidence: Evidence, part: str, *, step: float) -> Measurement:
        """Is tall."""
        return Measurement("height", 3.0 + step, 0.1, "they are tall", "Grow.")

    assert taller(evidence(), "one", step=1.0, zero_at=0.0, full_at=8.0).score == 0.5
    assert (taller.title, taller.numbers) == ("Is tall.", ("step", "zero_at", "full_at"))
    assert cache_key("one", "taller", {"b": 1, "a": 2}) == 'one/taller/{"a": 2, "b": 1}'
    finding = score_measurement(Measurement("height", 8.0, 0.1, "they are tall", "Grow."), zero_at=0.0, full_at=8.0)
    assert (finding.score, finding.message.startswith("they are tall"), finding.hint) == (1.0, True, "")


def test_the_file_of_findings_is_small_and_plain(tmp_path: Path) -> None:
    (tmp_path / EVIDENCE).write_bytes(save_evidence(evidence()))
    items = verdicts(tmp_path, RUBRIC, TwoNumbers(), keep=True)
    content = json.loads((tmp_path / FINDINGS).read_text())
    assert len(content["value"]) == 5
    assert all(item.outcome is not Outcome.NEEDS_REVIEW for item in items)

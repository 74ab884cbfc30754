"""Computes the verdicts from evidence and rubric. Only `follow_through` and `overrides` change points afterwards."""

from __future__ import annotations

from collections.abc import Mapping

from grader.checks import THRESHOLDS, Check, Measurement, score_measurement
from grader.errors import EvidenceError
from grader.evidence import NotAnswered
from grader.grading.finding_cache import FindingCache, cache_key
from grader.records import (
    LEFT_OUT,
    Blame,
    CheckSpec,
    CheckVerdict,
    Evidence,
    Finding,
    ItemVerdict,
    Outcome,
    Rubric,
    RubricItem,
)


def item_verdicts(
    evidence: Evidence, rubric: Rubric, checks: Mapping[str, Check], findings: FindingCache | None = None
) -> tuple[ItemVerdict, ...]:
    """Returns a verdict per item of the rubric.

    If a check's own code raises, its outcome is `needs_review`, not `failed`; it counts as 0 points until staff decide.

    Findings on this evidence in `findings` are not measured again; new ones are added.

    Raises:
        EvidenceError: the evidence is read lazily, and cannot be read.
    """
    findings = findings or FindingCache()
    return tuple(_item(evidence, item, checks, rubric.points_step_milli, findings) for item in rubric.items)


def round_to_step(points_milli: float, step_milli: int) -> int:
    """Rounds the points to the nearest whole step; a half is rounded up.

    >>> round_to_step(1130, 250), round_to_step(1120, 250)
    (1250, 1000)
    """
    return int(points_milli / step_milli + 0.5) * step_milli


def _item(
    evidence: Evidence, item: RubricItem, checks: Mapping[str, Check], step: int, findings: FindingCache
) -> ItemVerdict:
    verdicts: dict[str, CheckVerdict] = {}
    for spec in item.checks:
        failed = [name for name in spec.presupposes if verdicts[name].points_milli == 0]
        if failed:
            verdicts[spec.check] = _verdict_after(verdicts[failed[0]], spec, checks)
        else:
            verdicts[spec.check] = _verdict_of(
                spec, checks[spec.check], _finding(evidence, item, spec, checks, findings), step
            )
    check_verdicts = tuple(verdicts.values())
    return ItemVerdict(
        id=item.id,
        title=item.title,
        outcome=_outcome_of(check_verdicts),
        points_milli=sum(verdict.points_milli for verdict in check_verdicts),
        max_points_milli=item.points_milli,
        checks=check_verdicts,
    )


def _finding(
    evidence: Evidence, item: RubricItem, spec: CheckSpec, checks: Mapping[str, Check], findings: FindingCache
) -> Finding | Outcome:
    """Returns the check's finding, or an outcome if the check was not run."""
    part = item.part
    try:
        finding = _measure(evidence, part, spec, checks[spec.check], findings)
    except EvidenceError:
        raise
    except NotAnswered as missing:
        message = missing.fault.message
        if missing.fault.blame == Blame.NOBODY:
            return Outcome.SKIPPED
        if missing.fault.blame == Blame.OURS:
            return Finding(None, f"could not be graded automatically: {message}")
        if missing.fault.blame == Blame.MACHINE:
            return Finding(None, message)
        return Finding(0.0, message)
    except Exception as error:  # a broken check is our fault, whatever it is
        return Finding(None, f"the check itself failed ({type(error).__name__}: {error})")
    if not isinstance(finding, Finding):
        return Finding(None, f"the check gave a {type(finding).__name__}, not a finding")
    if finding.score is not None and not 0 <= finding.score <= 1:
        return Finding(None, f"the check gave a score of {finding.score}, expected 0 to 1", measured=finding.measured)
    return finding


def _measure(evidence: Evidence, part: str, spec: CheckSpec, check: Check, findings: FindingCache) -> Finding:
    """Returns the check's finding; for a check with thresholds, scores the cached measurement."""
    if not check.has_thresholds:
        result = findings.get(cache_key(part, spec.check, spec.params), lambda: check(evidence, part, **spec.params))
        return check(evidence, part, **spec.params) if isinstance(result, Measurement) else result
    thresholds = {name: spec.params[name] for name in THRESHOLDS}
    shape = {name: value for name, value in spec.params.items() if name not in thresholds}
    result = findings.get(cache_key(part, spec.check, shape), lambda: check.measure(evidence, part, **shape))
    return score_measurement(result, **thresholds) if isinstance(result, Measurement) else result


def _verdict_of(spec: CheckSpec, check: Check, finding: Finding | Outcome, step: int) -> CheckVerdict:
    if isinstance(finding, Outcome):
        return _verdict_without_finding(spec, check, finding, LEFT_OUT)
    points = _points(finding.score or 0.0, spec.points_milli, step)
    outcome = Outcome.NEEDS_REVIEW if finding.score is None else Outcome.of_points(points, spec.points_milli)
    return CheckVerdict(
        id=spec.check,
        title=check.title,
        outcome=outcome,
        points_milli=points,
        max_points_milli=spec.points_milli,
        message=finding.message,
        hint=finding.hint if outcome is not Outcome.PASSED else "",
        measured=finding.measured,
        level=finding.level,
        borderline=finding.borderline,
    )


def _points(score: float, of: int, step: int) -> int:
    """Partial credit in steps; full points only for a score of 1, so that "passed" means that nothing is wrong."""
    return of if score == 1 else min(round_to_step(score * of, step), of - step)


def _verdict_after(cause: CheckVerdict, spec: CheckSpec, checks: Mapping[str, Check]) -> CheckVerdict:
    """The verdict on a check whose presupposed check failed or could not be graded."""
    undecided = cause.outcome is Outcome.NEEDS_REVIEW
    outcome = Outcome.NEEDS_REVIEW if undecided else Outcome.SKIPPED
    if cause.outcome is Outcome.SKIPPED:
        return _verdict_without_finding(spec, checks[spec.check], outcome, cause.message)
    how = "not graded, because an earlier check could not be graded" if undecided else "not met, because this failed"
    return _verdict_without_finding(spec, checks[spec.check], outcome, f"{how}: {cause.title}")


def _verdict_without_finding(spec: CheckSpec, check: Check, outcome: Outcome, message: str) -> CheckVerdict:
    return CheckVerdict(
        id=spec.check,
        title=check.title,
        outcome=outcome,
        points_milli=0,
        max_points_milli=spec.points_milli,
        message=message,
    )


def _outcome_of(verdicts: tuple[CheckVerdict, ...]) -> Outcome:
    if any(verdict.outcome is Outcome.NEEDS_REVIEW for verdict in verdicts):
        return Outcome.NEEDS_REVIEW
    if all(verdict.outcome is Outcome.SKIPPED for verdict in verdicts):
        return Outcome.SKIPPED
    points = sum(verdict.points_milli for verdict in verdicts)
    return Outcome.of_points(points, sum(verdict.max_points_milli for verdict in verdicts))

"""Grades a class on a Slurm cluster: submits an array of tasks, and watches it until the last task is done.

`submitit` writes the batch script and starts the tasks; `squeue` shows the queue; results are read from the run
folders, not from the tasks. A task that the scheduler ends (preempted, out of time, node lost, cancelled) is submitted
again, a few times. If the submitting command is killed, the next one finds its tasks in the queue and watches them.
"""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter

from grader.batch.class_records import Job, JobResult, StudentState
from grader.batch.work import stored_result
from grader.batch.worker import JOB, grade_chunk
from grader.errors import GraderError, one_line, short_path
from grader.grading.run_files import FAILED_ATTEMPT, REPORT
from grader.store.bounded import Unreadable
from grader.store.json_files import json_line, read_json, validate, write_json
from grader.store.yaml_files import as_table, read_yaml

FOLDER = "slurm"  # in the class's folder: scripts, logs, and the submissions of each task
QUEUE = "queue.json"
TRIES = 3
GIVEN_UP = f"the scheduler ended its task {TRIES} times before it was graded; see the logs in {FOLDER}/"
POLL_S = 3.0
POLL_EACH_S = 0.005  # more per submission, since each poll reads all folders on a shared file system
MOST_TASKS = 1000  # per array; Slurm's default limit is 1001
GRACE_POLLS = 2  # a shared file system may show a report after its task has left the queue


@dataclass(frozen=True)
class SlurmConfig:
    """`slurm.yaml`: the resources of each task."""

    partition: str | None = None
    account: str | None = None
    time_min: int = 60
    cpus: int = 2
    mem_gb: float = 8
    gpus: int = 0
    at_once: int = 50  # tasks of the array that may run together
    chunk: int = 1  # submissions per task, graded one after the other
    extra: Mapping[str, str] = field(default_factory=dict)  # further options of sbatch, by name


_CONFIG: TypeAdapter[SlurmConfig] = TypeAdapter(SlurmConfig)
_QUEUE: TypeAdapter[dict[str, list[str]]] = TypeAdapter(dict[str, list[str]])  # task -> keys


def read_config(path: Path) -> SlurmConfig:
    """The configuration; the defaults if there is no such file.

    Raises:
        GraderError: if the file is invalid; the message is one line.
    """
    path_text = short_path(path)
    fields = as_table(read_yaml(path), path_text, SlurmConfig.__dataclass_fields__)
    try:
        config = validate(fields, _CONFIG)
    except Unreadable as reason:
        raise GraderError(f"{path_text}: {one_line(str(reason), 200)}") from None
    for name in ("time_min", "cpus", "mem_gb", "at_once", "chunk"):
        if getattr(config, name) <= 0:
            raise GraderError(f"{path_text}: {name}: expected more than 0, got {getattr(config, name)}")
    return config


class SlurmExecutor:
    """Runs jobs as an array of Slurm tasks; see `grader.batch.class_records.Executor`."""

    def __init__(self, out: Path, config: SlurmConfig) -> None:
        self._folder = out.resolve() / FOLDER
        self._config = config
        self._name = f"grade-{hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:10]}"
        self.at_once = config.at_once

    def run(self, jobs: Sequence[Job], started: Callable[[str], None], ended: Callable[[JobResult], None]) -> None:
        """Runs all jobs, and calls `ended` once for each."""
        self._folder.mkdir(parents=True, exist_ok=True)
        waiting = {job.key: _absolute(job) for job in jobs}
        mark_of = {key: _mark(job) for key, job in waiting.items()}
        start_of: dict[str, float] = {}
        tries: Counter[str] = Counter()
        polls_missing: Counter[str] = Counter()  # polls since a submission was last seen in the queue
        while waiting:
            states = self._states()
            tasks = {task: keys for task, keys in self._keys_of_tasks().items() if task in states}
            queued = {key for keys in tasks.values() for key in keys}
            for task, keys in tasks.items():
                for key in keys if states[task] == "RUNNING" else ():
                    if key in waiting and key not in start_of:
                        start_of[key] = time.monotonic()
                        started(key)
            for key in [key for key, job in waiting.items() if _mark(job) != mark_of[key]]:
                if (result := stored_result(waiting[key])) is not None:
                    ended(replace(result, seconds=time.monotonic() - start_of.get(key, time.monotonic())))
                    del waiting[key]
            polls_missing = Counter({key: polls_missing[key] + 1 for key in waiting if key not in queued})
            lost_keys = [key for key, polls in polls_missing.items() if polls > GRACE_POLLS or not tries[key]]
            if len(tasks) >= self.at_once:  # the next array starts only when this one is nearly done
                lost_keys = [key for key in lost_keys if tries[key]]
            lost_keys = lost_keys[: MOST_TASKS * self._config.chunk]
            if lost_keys and set(states) <= set(tasks):  # an unknown task of an earlier command may grade them
                for key in [key for key in lost_keys if tries[key] >= TRIES]:
                    ended(JobResult(key, StudentState.FAILED, GIVEN_UP))
                    del waiting[key]
                self._submit([waiting[key] for key in lost_keys if key in waiting], tasks)
                tries.update(lost_keys)
                polls_missing.clear()
            if waiting:
                time.sleep(POLL_S + POLL_EACH_S * len(waiting))

    def _states(self) -> dict[str, str]:
        """The state of each task of this class in the queue."""
        line = ["squeue", "--me", "--noheader", "--array", f"--name={self._name}", "--format=%i %T"]
        try:
            queue = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True)
        except FileNotFoundError:
            raise GraderError(
                "--executor slurm: expected squeue and sbatch on the PATH, found none; run it on a login node"
            ) from None
        except (OSError, subprocess.SubprocessError) as error:
            message = getattr(error, "stderr", "") or str(error)
            raise GraderError(f"--executor slurm: squeue failed: {one_line(str(message), 200)}") from None
        pairs = (line.split() for line in queue.stdout.splitlines())
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}

    def _keys_of_tasks(self) -> dict[str, list[str]]:
        """The submissions of each task."""
        try:
            return read_json(self._folder / QUEUE, _QUEUE)
        except Unreadable:
            return {}

    def _submit(self, jobs: Sequence[Job], tasks: Mapping[str, list[str]]) -> None:
        """Submits an array of tasks for the jobs, and records the submissions of each task."""
        if not jobs:
            return
        try:
            import submitit
        except ImportError:
            raise GraderError(
                "--executor slurm: submitit is not installed; run pip install 'vae-autograder[slurm]'"
            ) from None
        config, size = self._config, self._config.chunk
        executor = submitit.SlurmExecutor(folder=str(self._folder), max_num_timeout=0)
        parameters = {
            "job_name": self._name,
            "partition": config.partition,
            "account": config.account,
            "time": config.time_min,
            "cpus_per_task": config.cpus,
            "mem": f"{int(config.mem_gb * 1024)}MB",
            "gpus_per_node": config.gpus or None,
            "array_parallelism": config.at_once,
            "additional_parameters": dict(config.extra) or None,
            "stderr_to_stdout": True,
            "use_srun": False,
        }
        executor.update_parameters(**{name: value for name, value in parameters.items() if value is not None})
        chunks = [list(jobs[start : start + size]) for start in range(0, len(jobs), size)]
        try:
            submitted = executor.map_array(grade_chunk, [[json_line(JOB, job).decode() for job in c] for c in chunks])
        except Exception as error:  # any failure of sbatch
            raise GraderError(f"--executor slurm: sbatch refused the tasks: {one_line(str(error), 300)}") from None
        keys_of_tasks = {
            **tasks,
            **{str(task.job_id): [job.key for job in c] for task, c in zip(submitted, chunks, strict=True)},
        }
        write_json(self._folder / QUEUE, _QUEUE, keys_of_tasks)


def _absolute(job: Job) -> Job:
    """The job with absolute paths, for another working directory."""
    return replace(job, notebook=job.notebook.resolve(), folder=job.folder.resolve(), rubric=job.rubric.resolve())


def _mark(job: Job) -> tuple[object, ...]:
    """A value that changes when the folder gets a new result."""
    return tuple(_stamp(job.folder / name) for name in (REPORT, FAILED_ATTEMPT))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino

"""A Slurm of one node in a temporary folder, started and stopped by a test; Debian's slurm-wlm and munge are needed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol")
MISSING = [name for name in NEEDED if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is None]
CONF = """
ClusterName=toy
SlurmctldHost={host}({address})
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={port}
SlurmdPort={second_port}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_min_interval=100000
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
KillWait=5
MinJobAge=10
MaxArraySize=1001
NodeName={host} NodeAddr={address} CPUs={cpus} RealMemory=2000 State=UNKNOWN
PartitionName=toys Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """The scheduler, its node and munge; a context manager that leaves nothing running."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}

    def __enter__(self) -> Slurm:
        folder = self._folder
        folder.chmod(0o755)
        for name in ("state", "spool"):
            (folder / name).mkdir()
        key = folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        user = "root" if os.getuid() == 0 else os.environ.get("USER", "nobody")
        words = {
            "host": socket.gethostname().partition(".")[0],
            "address": "127.0.0.1",
            "user": user,
            "folder": folder,
            "port": _free_port(),
            "second_port": _free_port(),
            "cpus": len(os.sched_getaffinity(0)),
        }
        (folder / "slurm.conf").write_text(CONF.format(**words))
        options = [f"--key-file={key}", f"--socket={folder}/munge.sock", f"--pid-file={folder}/munged.pid"]
        options += [f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed", "--force", "--foreground"]
        self._start("munged", *options)
        self._wait(lambda: (folder / "munge.sock").exists(), "munge")
        self._start("slurmctld", "-D", "-c")
        self._start("slurmd", "-D", "-N", str(words["host"]))
        self._wait(lambda: "idle" in self.say("sinfo", "--noheader", "--format=%T"), "the node")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.say("scancel", "--me")
        time.sleep(1)
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def say(self, *command: str) -> str:
        """What a command of Slurm's prints; nothing where it fails."""
        environment = {**os.environ, **self.environment}
        completed = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
        return completed.stdout

    def _start(self, *command: str) -> None:
        log = (self._folder / f"{command[0]}.out").open("wb")
        environment = {**os.environ, **self.environment}
        self._processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        log.close()

    def _wait(self, done: object, what: str) -> None:
        deadline = time.monotonic() + 60
        while not done():  # type: ignore[operator]
            if time.monotonic() > deadline:
                logs = "".join(p.read_text(errors="replace")[-1500:] for p in self._folder.glob("*.log"))
                raise RuntimeError(f"{what} did not come up: {logs}")
            time.sleep(0.3)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

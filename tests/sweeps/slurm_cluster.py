"""A real Slurm of three nodes on this machine: all state in one folder, ports of its own.

slurmctld, three slurmd, munge, and slurmdbd with MariaDB for accounting, without which nobody learns how a job ended
long ago. Partition `normal` has the nodes n1 and n2, with as many CPUs as tests like. n3 has one, for `low` and `high`:
jobs of the latter pre-empt those of the former: TERM, KILL after GRACE_SECONDS, and back into the queue.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

NODES = {"n1": 8, "n2": 8, "n3": 1}
"""Their CPUs, of which this machine need not have as many."""
PROGRAMS = ("slurmd", "slurmctld", "sbatch", "srun", "munged", "slurmdbd", "mariadbd", "mariadb-install-db")
GRACE_SECONDS = 20
KILL_WAIT_SECONDS = 60
UP_SECONDS = 60
HOST = socket.gethostname().partition(".")[0]


class Unavailable(Exception):
    """Says why there is no Slurm here."""


@dataclass(frozen=True)
class Cluster:
    """`environment`: what a process must have in its environment to talk to it."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, check: bool = True) -> str:
        """What a command such as squeue prints."""
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=60, check=False
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return (done.stdout + done.stderr).strip()


def require_programs() -> None:
    """Raises Unavailable where one is not installed, or this process may not start them."""
    if absent := [name for name in PROGRAMS if not _program(name)]:
        raise Unavailable(f"there is no {', '.join(absent)} here: make system-deps installs what is missing")
    if os.geteuid() != 0:
        raise Unavailable("a Slurm to test with needs root")


@contextmanager
def slurm_cluster() -> Iterator[Cluster]:
    """Up in about 6 seconds; at the end all of its processes are ended and the folder is gone."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # sockets: their paths must be short
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        ports = dict(zip(("database", "accounting", "controller", *NODES), _free_ports(6)))
        cluster = Cluster(folder, {"SLURM_CONF": str(folder / "slurm.conf")})
        for name, text in (("slurm.conf", slurm_conf(folder, ports)), ("slurmdbd.conf", slurmdbd_conf(folder, ports))):
            (folder / name).write_text(text)
            (folder / name).chmod(0o600 if name == "slurmdbd.conf" else 0o644)
        _start_munge(folder, stack)
        _start_database(folder, ports["database"], stack)
        _until(lambda: _answers(ports["accounting"]), _start(["slurmdbd", "-D"], cluster, stack), folder)
        cluster.run("sacctmgr", "--immediate", "add", "cluster", "loopback")
        controller = _start(["slurmctld", "-D", "-c"], cluster, stack)
        for name in NODES:
            _start(["slurmd", "-D", "-N", name], cluster, stack)
        _until(lambda: _idle(cluster), controller, folder)
        yield cluster


def slurm_conf(folder: Path, ports: dict[str, int]) -> str:
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={HOST} NodeAddr=127.0.0.1 Port={ports[name]} CPUs={cpus} RealMemory=2000"
        for name, cpus in NODES.items()
    )
    return f"""ClusterName=loopback
SlurmctldHost={HOST}(127.0.0.1)
SlurmctldPort={ports["controller"]}
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0,bf_interval=1
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait={KILL_WAIT_SECONDS}
InactiveLimit=0
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports["accounting"]}
AccountingStoragePass={folder}/munge.socket
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
{nodes}
PartitionName=normal Nodes=n1,n2 Default=YES PriorityTier=5 PreemptMode=OFF
PartitionName=low Nodes=n3 PriorityTier=1 PreemptMode=REQUEUE GraceTime={GRACE_SECONDS}
PartitionName=high Nodes=n3 PriorityTier=9 PreemptMode=OFF
"""


def slurmdbd_conf(folder: Path, ports: dict[str, int]) -> str:
    return f"""AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost={HOST}
DbdAddr=127.0.0.1
DbdPort={ports["accounting"]}
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports["database"]}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_accounting
"""


# ---- its parts -------------------------------------------------------------------------------------------------------


def _start_munge(folder: Path, stack: ExitStack) -> None:
    own = folder / "munge"
    own.mkdir(mode=0o700)
    key = own / "key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    places = [f"--key-file={key}", f"--log-file={own}/log", f"--pid-file={own}/pid", f"--seed-file={own}/seed"]
    command = ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *places]
    _until((folder / "munge.socket").exists, _start(command, Cluster(folder, {}), stack), folder)


def _start_database(folder: Path, port: int, stack: ExitStack) -> None:
    """MariaDB on 127.0.0.1, small and without care for a power failure."""
    data = folder / "database"
    small = [
        *("--no-defaults", "--user=root", f"--datadir={data}", f"--socket={folder}/database.socket"),
        *("--innodb-log-file-size=8M", "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0"),
    ]
    quick = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
    made = subprocess.run(["mariadb-install-db", *small, *quick], capture_output=True, text=True, check=False)
    if made.returncode:
        raise Unavailable(f"mariadb-install-db failed: {' '.join((made.stdout + made.stderr).split())[-200:]}")
    (folder / "rights.sql").write_text(
        "CREATE USER slurm@'127.0.0.1' IDENTIFIED BY 'slurm';\nGRANT ALL ON slurm_accounting.* TO slurm@'127.0.0.1';\n"
    )
    where = ["--bind-address=127.0.0.1", f"--port={port}", f"--init-file={folder}/rights.sql"]
    command = ["mariadbd", *small, *where, f"--pid-file={folder}/database.pid"]
    _until(lambda: _answers(port), _start(command, Cluster(folder, {}), stack), folder)


def _start(command: Sequence[str], cluster: Cluster, stack: ExitStack) -> subprocess.Popen:
    """A process that is ended, by its id, when the stack is taken down."""
    program = _program(command[0])
    assert program is not None
    log = stack.enter_context((cluster.folder / f"{command[0]}.out").open("a"))
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig=KILL", program, *command[1:]],  # tests that are killed leave nothing behind
        env={**os.environ, **cluster.environment},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _idle(cluster: Cluster) -> bool:
    nodes = cluster.run("sinfo", "--noheader", "--Node", "--partition=normal,low", "--format=%T", check=False)
    return nodes.split() == ["idle"] * len(NODES)


def _until(condition: Callable[[], bool], process: subprocess.Popen, folder: Path) -> None:
    """Wait for it. Raises Unavailable, with the last words of all logs, where the process ends or nothing comes."""
    end = time.monotonic() + UP_SECONDS
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            said = {path.name: path.read_text(errors="replace")[-300:] for path in folder.glob("*.out")}
            raise Unavailable(f"{process.args} did not come up: {said}")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def _free_ports(count: int) -> list[int]:
    """Below the range of those that the kernel gives to connections, so that none is taken before we listen."""
    found: list[int] = []
    while len(found) < count:
        port = 20000 + secrets.randbelow(10000)
        if port not in found and not _answers(port):
            found.append(port)
    return found


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

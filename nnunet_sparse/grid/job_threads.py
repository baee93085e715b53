"""How many processor cores each job gets: what the key ``threads`` of an experiment comes to."""

import os
from dataclasses import dataclass

from nnunet_sparse.grid.experiment import AUTO, Experiment
from nnunet_sparse.grid.jobs import Job
from nnunet_sparse.system.devices import usable_gpus

# the workflow hands its choice to its jobs, which may run on other machines
_HANDED = "NNSPARSE_GRID_THREADS"
_PACKED = "NNSPARSE_GRID_PACKED"
# batches are made by the process that trains; more cores help small networks little
_WITHOUT_GPU = 2
# of a training that shares its GPU: three make its batches
_LEAST_ON_GPU = 4
_MOST_BY_ITSELF = 8
_PACKED_ON_CLUSTER = 4


@dataclass(frozen=True)
class JobThreads:
    """Cores of each job.

    Attributes
    ----------
    on_gpu
        Of jobs that use a GPU, one of which is for the job itself and the others make batches.
    others
        Of all other jobs.
    """

    on_gpu: int
    others: int

    def of(self, job: Job) -> int:
        """Cores of a job."""
        return self.on_gpu if job.on_device else self.others

    def hand_over(self) -> None:
        """Tell processes that are started from now on."""
        os.environ[_HANDED] = f"{self.on_gpu} {self.others}"


def handed_threads() -> JobThreads:
    """What the workflow that started this process has chosen."""
    on_gpu, others = os.environ[_HANDED].split()
    return JobThreads(int(on_gpu), int(others))


def default_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def num_gpus(experiment: Experiment) -> int:
    """GPUs of this machine that an experiment uses."""
    return 0 if experiment.device == "cpu" else len(usable_gpus())


def most_per_gpu(experiment: Experiment, gpus: int, cores: int | None = None) -> int:
    """Trainings that may be on one GPU at once.

    With ``auto`` as many as there are four cores for, and 8 at most; how many are there is decided
    by what each takes (:mod:`nnunet_sparse.grid.shared_gpu`).

    Parameters
    ----------
    experiment
        What the file says.
    gpus
        Number of GPUs.
    cores
        Cores that all jobs have together; by default those of this process.
    """
    if experiment.trainings_per_gpu != AUTO:
        return int(experiment.trainings_per_gpu)
    of_each = (default_cores() if cores is None else cores) // max(1, gpus)
    return max(1, min(_MOST_BY_ITSELF, of_each // _LEAST_ON_GPU))


def job_threads(experiment: Experiment, cores: int, gpus: int) -> JobThreads:
    """Cores of the jobs of an experiment on one machine.

    With ``auto`` a job on a GPU gets a core for each process that nnU-Net would start to make its
    batches, and one for itself, as far as its share of the cores goes. One core at least is left
    to the jobs that need no GPU, where a share has more than two: otherwise GPUs would wait for
    data sets that could be made meanwhile.

    Parameters
    ----------
    experiment
        What the file says.
    cores
        Cores that all jobs have together.
    gpus
        Number of GPUs, each of which trains as many networks at once as the file says; 0 if there
        are none.
    """
    if experiment.threads != AUTO:
        return JobThreads(int(experiment.threads), int(experiment.threads))
    if not gpus:
        number = min(_WITHOUT_GPU, cores)
        return JobThreads(number, number)
    places = gpus * most_per_gpu(experiment, gpus, cores)
    share = max(1, cores // places)
    if share > _WITHOUT_GPU and share * places == cores:
        share = (cores - 1) // places
    on_gpu = min(num_loading() + 1, share)
    return JobThreads(on_gpu, max(1, min(on_gpu, cores - on_gpu * places)))


def job_threads_on_cluster(experiment: Experiment) -> JobThreads:
    """Cores of jobs each of which asks a cluster for its own, and for a GPU if it can use one."""
    if experiment.threads != AUTO or experiment.device == "cpu":
        return job_threads(experiment, _WITHOUT_GPU, 0)
    share = -(-(num_loading() + 1) // packed_on_cluster(experiment))
    return JobThreads(max(_WITHOUT_GPU, share), _WITHOUT_GPU)


def packed_on_cluster(experiment: Experiment) -> int:
    """Trainings that ask a cluster for one GPU together."""
    if experiment.device == "cpu":
        return 1
    if experiment.trainings_per_gpu != AUTO:
        return int(experiment.trainings_per_gpu)
    return _PACKED_ON_CLUSTER


def hand_over_packing(experiment: Experiment, on_cluster: bool) -> None:
    """Tell the workflow whether trainings ask a cluster for GPUs together."""
    os.environ[_PACKED] = str(int(on_cluster and packed_on_cluster(experiment) > 1))


def are_packed() -> bool:
    """Whether trainings ask a cluster for GPUs together."""
    return os.environ.get(_PACKED) == "1"


def thread_lines(experiment: Experiment) -> list[str]:
    """What ``auto`` comes to on this machine, for ``nnsparse_grid plan``."""
    if experiment.threads != AUTO:
        return []
    cores, gpus = default_cores(), num_gpus(experiment)
    chosen = job_threads(experiment, cores, gpus)
    if not gpus:
        return [f"threads: {_cores(chosen.on_gpu)} for each job, of {cores}; no GPU is to be fed"]
    loading, wanted = chosen.on_gpu - 1, num_loading()
    of = "nnU-Net's number" if loading == wanted else f"nnU-Net's number is {wanted}"
    return [
        f"threads: {_cores(chosen.on_gpu)} for each job on a GPU, {loading} of which make batches "
        f"({of}), {chosen.others} for each other job; of {_cores(cores)} and {gpus} "
        f"GPU{'s' * (gpus > 1)}{_packed(experiment, gpus)}"
    ]


def _packed(experiment: Experiment, gpus: int) -> str:
    most = most_per_gpu(experiment, gpus)
    if most == 1:
        return ""
    return f", on which {'up to ' * (experiment.trainings_per_gpu == AUTO)}{most} train at once"


def _cores(number: int) -> str:
    return f"{number} core{'s' * (number > 1)}"


def num_loading() -> int:
    """Processes that nnU-Net would start to make the batches of one training."""
    from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

    return int(get_allowed_n_proc_DA())

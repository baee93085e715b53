"""How many processor cores each job gets: what the key ``threads`` of an experiment comes to."""

import os
from dataclasses import dataclass

from nnunet_sparse.grid.experiment import AUTO, Experiment
from nnunet_sparse.grid.jobs import Job
from nnunet_sparse.system.devices import usable_gpus

# the workflow hands its choice to its jobs, which may run on other machines
_HANDED = "NNSPARSE_GRID_THREADS"
# batches are made by the process that trains; more cores help small networks little
_WITHOUT_GPU = 2


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
        Number of GPUs, hence of the trainings that run at once; 0 if there are none.
    """
    if experiment.threads != AUTO:
        return JobThreads(int(experiment.threads), int(experiment.threads))
    if not gpus:
        number = min(_WITHOUT_GPU, cores)
        return JobThreads(number, number)
    share = max(1, cores // gpus)
    if share > _WITHOUT_GPU and share * gpus == cores:
        share = (cores - 1) // gpus
    on_gpu = min(_num_loading() + 1, share)
    return JobThreads(on_gpu, max(1, min(on_gpu, cores - on_gpu * gpus)))


def job_threads_on_cluster(experiment: Experiment) -> JobThreads:
    """Cores of jobs each of which asks a cluster for its own, and for a GPU if it can use one."""
    if experiment.threads != AUTO or experiment.device == "cpu":
        return job_threads(experiment, _WITHOUT_GPU, 0)
    return JobThreads(_num_loading() + 1, _WITHOUT_GPU)


def thread_lines(experiment: Experiment) -> list[str]:
    """What ``auto`` comes to on this machine, for ``nnsparse_grid plan``."""
    if experiment.threads != AUTO:
        return []
    cores, gpus = default_cores(), num_gpus(experiment)
    chosen = job_threads(experiment, cores, gpus)
    if not gpus:
        return [f"threads: {_cores(chosen.on_gpu)} for each job, of {cores}; no GPU is to be fed"]
    loading, wanted = chosen.on_gpu - 1, _num_loading()
    of = "nnU-Net's number" if loading == wanted else f"nnU-Net's number is {wanted}"
    return [
        f"threads: {_cores(chosen.on_gpu)} for each job on a GPU, {loading} of which make batches "
        f"({of}), {chosen.others} for each other job; of {_cores(cores)} and {gpus} "
        f"GPU{'s' * (gpus > 1)}"
    ]


def _cores(number: int) -> str:
    return f"{number} core{'s' * (number > 1)}"


def _num_loading() -> int:
    """Processes that nnU-Net would start to make the batches of one training."""
    from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

    return int(get_allowed_n_proc_DA())

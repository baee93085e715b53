"""The step ``prepare``: plans and preprocessed data."""

from pathlib import Path

from nnunet_sparse.data.folds import SPLITS_FILE
from nnunet_sparse.grid.jobs import PrepareJob
from nnunet_sparse.grid.step_work import Facts, StepWork, Work, dataset_name


class PrepareWork(StepWork[PrepareJob]):
    """Plans and preprocesses; images and plans of the base are shared."""

    def asked(self, work: Work, job: PrepareJob) -> Facts:
        """What decides the plans, and the number of folds."""
        way = job.subject.first
        return {
            "repeats": work.grid.experiment.repeats,
            "planner": way.planner,
            "scale": way.scale,
            "settings": way.settings,
            "configurations": list(job.subject.configurations),
        }

    def is_there(self, work: Work, job: PrepareJob) -> bool:
        """Whether the plans and the cases of every configuration are."""
        from nnunet_sparse.data.plans_configuration import configuration_of
        from nnunet_sparse.planners.plans import read_plans

        wanted = job.subject
        folder = work.grid.paths.preprocessed / dataset_name(work.grid, wanted.of.suffix)
        plans = read_plans(folder / f"{wanted.plans}.json")
        if plans is None or not (folder / SPLITS_FILE).is_file():
            return False
        names = [name for name in wanted.configurations if name in plans["configurations"]]
        data = [folder / configuration_of(plans, name)["data_identifier"] for name in names]
        return len(names) == len(wanted.configurations) and all(map(_is_filled, data))

    def do(self, work: Work, job: PrepareJob) -> Facts:
        """Plan and preprocess."""
        from nnunet_sparse.planners.plan_and_preprocess import plan_and_preprocess

        way = job.subject.first
        plan_and_preprocess(
            work.grid.paths,
            dataset_name(work.grid, job.subject.of.suffix),
            planner=way.planner,
            scale=way.scale,
            plans_name=job.subject.plans,
            configurations=job.subject.configurations,
            settings=way.settings,
            num_processes=work.num_processes,
        )
        return {}


def _is_filled(folder: Path) -> bool:
    return any(folder.glob("*.pkl"))

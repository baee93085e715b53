"""The step ``dataset``: make the data set of a variant."""

from nnunet_sparse.grid.jobs import DatasetJob
from nnunet_sparse.grid.step_work import Facts, StepWork, Work, base_name, dataset_name


class DatasetWork(StepWork[DatasetJob]):
    """Makes the data set of a variant."""

    def asked(self, work: Work, job: DatasetJob) -> Facts:
        """The factors, and the number of folds."""
        cell, repeats = job.subject, work.grid.experiment.repeats
        return {"variant": cell.variant.to_json(), "axis": cell.base.task.axis, "repeats": repeats}

    def is_there(self, work: Work, job: DatasetJob) -> bool:
        """Whether its folder is."""
        return (work.grid.paths.raw / dataset_name(work.grid, job.subject.suffix)).is_dir()

    def do(self, work: Work, job: DatasetJob) -> Facts:
        """Select slices, or interpolate the labels of those that are selected."""
        from nnunet_sparse.dataset_tools.interpolate import interpolate_dataset
        from nnunet_sparse.dataset_tools.make_dataset import make_dataset

        cell, paths = job.subject, work.grid.paths
        if cell.variant.interpolation is not None:
            filled = interpolate_dataset(
                paths,
                dataset_name(work.grid, cell.sparse.suffix),
                cell.variant.interpolation,
                device=work.device if job.on_device else None,
                num_processes=work.num_processes,
            )
            return {"dataset": filled.folder.name, "num_slices": filled.selection.budget}
        made = make_dataset(
            paths,
            base_name(work.grid, cell.base),
            cell.variant,
            axis=cell.base.task.axis,
            # the features have been kept by the job before
            device=work.device if cell.variant.uses_features else None,
            repeats=work.grid.experiment.repeats,
            num_processes=work.num_processes,
        )
        assert made.folder is not None
        return {"dataset": made.folder.name, "num_slices": made.selection.budget}

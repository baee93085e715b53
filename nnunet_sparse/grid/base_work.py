"""The step ``base``: make a phantom, and keep the split."""

from dataclasses import asdict

from nnunet_sparse.data.split import split_file
from nnunet_sparse.grid.jobs import BaseJob
from nnunet_sparse.grid.step_work import Facts, StepWork, Work, base_name


class BaseWork(StepWork[BaseJob]):
    """Makes a phantom, and keeps the split of the base."""

    def asked(self, work: Work, job: BaseJob) -> Facts:  # noqa: ARG002
        """The base, or the phantom's parameters."""
        phantom = job.subject.task.phantom
        if phantom is not None:
            return {"phantom": {**asdict(phantom), "shape": list(phantom.shape)}}
        return {"base": job.subject.name}

    def is_there(self, work: Work, job: BaseJob) -> bool:
        """Whether the base and its split are."""
        name, paths = base_name(work.grid, job.subject), work.grid.paths
        return (paths.raw / name).is_dir() and split_file(paths, name).is_file()

    def do(self, work: Work, job: BaseJob) -> Facts:
        """Make a phantom, and keep the split of the base."""
        from nnunet_sparse.data.training_images import open_training_images
        from nnunet_sparse.dataset_tools.make_phantom import make_phantom

        task, paths, name = job.subject.task, work.grid.paths, job.subject.name
        if task.phantom is not None:
            name = make_phantom(
                paths,
                task.phantom.task,
                name=task.phantom.suffix,
                num_train=task.phantom.num_train,
                num_test=task.phantom.num_test,
                shape=tuple(task.phantom.shape),  # type: ignore[arg-type]
                seed=task.phantom.seed,
                num_processes=work.num_processes,
            )
        assert name is not None
        request = task.split_request(work.grid.file.parent)
        images = open_training_images(paths, name, task.axis, request)
        return {"base": name, "axis": images.axis, "num_train": len(images.cases)}

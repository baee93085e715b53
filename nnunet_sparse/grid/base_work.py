"""The step ``base``: make a phantom, and keep the split."""

from dataclasses import asdict

from nnunet_sparse.data.split import split_file
from nnunet_sparse.grid.experiment import Phantom
from nnunet_sparse.grid.jobs import BaseJob
from nnunet_sparse.grid.step_work import Facts, StepWork, Work, base_name

_LATER_KEYS = frozenset({"spacing", "variation", "drawn_slices"})


class BaseWork(StepWork[BaseJob]):
    """Makes a phantom, and keeps the split of the base."""

    def asked(self, work: Work, job: BaseJob) -> Facts:  # noqa: ARG002
        """The base, or the phantom's parameters."""
        phantom = job.subject.task.phantom
        if phantom is not None:
            return {"phantom": _parameters(phantom)}
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
                spacing_mm=tuple(task.phantom.spacing),  # type: ignore[arg-type]
                variation=task.phantom.variation,
                drawn_slices=task.phantom.drawn_slices or None,
                seed=task.phantom.seed,
                num_processes=work.num_processes,
            )
        assert name is not None
        request = task.split_request(work.grid.file.parent)
        images = open_training_images(paths, name, task.axis, request)
        return {"base": name, "axis": images.axis, "num_train": len(images.cases)}


def _parameters(phantom: Phantom) -> Facts:
    """What a phantom is made of; keys that were added later only where they say something."""
    plain = asdict(Phantom())
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(phantom).items()
        if name not in _LATER_KEYS or value != plain[name]
    }

"""The steps ``predict`` and ``score``: the test cases of a training."""

from pathlib import Path

from nnunet_sparse.data.label_files import read_label
from nnunet_sparse.data.raw_dataset import RawDataset
from nnunet_sparse.evaluation.evaluate import SUMMARY_FILE, evaluate_folder
from nnunet_sparse.grid.cells import Training
from nnunet_sparse.grid.jobs import PredictJob, ScoreJob
from nnunet_sparse.grid.step_work import Facts, StepWork, Work, dataset_name
from nnunet_sparse.grid.stored_scores import read_scores
from nnunet_sparse.grid.train_work import model_folder
from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.system.publication import publication
from nnunet_sparse.system.software import software

# with fewer threads nnU-Net's processes for prediction are not worth their start
_PARALLEL_PREDICTION = 4


class PredictWork(StepWork[PredictJob]):
    """Predicts the test cases through nnU-Net's own functions."""

    follows_inputs = True

    def asked(self, work: Work, job: PredictJob) -> Facts:  # noqa: ARG002
        """Nothing: the training decides."""
        return {}

    def is_there(self, work: Work, job: PredictJob) -> bool:
        """Whether every test case has its prediction."""
        folder, raw = work.folder.predictions(job.key), _raw_folder(work, job.subject)
        if not (folder / "dataset.json").is_file():
            return False
        ending = RawDataset.open(raw).file_ending
        return all(
            (folder / truth.name).is_file() for truth in (raw / "labelsTs").glob(f"*{ending}")
        )

    def do(self, work: Work, job: PredictJob) -> Facts:
        """Predict into a folder that then takes its place."""
        import torch
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        from nnunet_sparse.trainers.few_cases import are_few

        device = torch.device(work.device)
        predictor = nnUNetPredictor(
            device=device, perform_everything_on_device=device.type == "cuda", allow_tqdm=False
        )
        predictor.initialize_from_trained_model_folder(
            str(model_folder(work.grid, job.subject)), (job.subject.repeat,), "checkpoint_final.pth"
        )
        raw = _raw_folder(work, job.subject)
        num_cases = len(RawDataset.open(raw).test)
        few = are_few(num_cases, predictor.plans_manager, predictor.label_manager)
        images = raw / "imagesTs"
        target = work.folder.predictions(job.key)
        partial = target.with_name(f".nnsparse_{target.name}")
        with (
            publication(target, partial, {"training": job.key}, resume=False) as new,
            new.making() as folder,
        ):
            if few or work.num_processes < _PARALLEL_PREDICTION:
                predictor.predict_from_files_sequential(str(images), str(folder))
            else:
                half = work.num_processes // 2
                predictor.predict_from_files(
                    str(images),
                    str(folder),
                    num_processes_preprocessing=half,
                    num_processes_segmentation_export=half,
                )
        return {}


class ScoreWork(StepWork[ScoreJob]):
    """Scores the predictions on dense labels."""

    follows_inputs = True

    def asked(self, work: Work, job: ScoreJob) -> Facts:  # noqa: ARG002
        """Nothing: the prediction decides."""
        return {}

    def is_there(self, work: Work, job: ScoreJob) -> bool:
        """Whether there are scores that can be read."""
        file = work.folder.predictions(job.key) / SUMMARY_FILE
        try:
            read_scores(file)
        except (OSError, SparseError):
            return False
        return True

    def do(self, work: Work, job: ScoreJob) -> Facts:
        """Score the predictions."""
        raw, predictions = _raw_folder(work, job.subject), work.folder.predictions(job.key)
        try:
            evaluate_folder(
                raw / "labelsTs", predictions, num_processes=work.num_processes, overwrite=True
            )
        except SparseError:
            _remove_damaged(predictions, RawDataset.open(raw))
            raise
        return {"software": software()}


def _raw_folder(work: Work, training: Training) -> Path:
    return work.grid.paths.raw / dataset_name(work.grid, training.of.suffix)


def _remove_damaged(predictions: Path, raw: RawDataset) -> None:
    """Remove predictions that cannot be read, so that the next run makes them again."""
    for truth in sorted((raw.folder / "labelsTs").glob(f"*{raw.file_ending}")):
        file = predictions / truth.name
        if not file.is_file():
            continue
        try:
            read_label(file, raw.reader())
        except SparseError as error:
            file.unlink()
            raise SparseError(
                f"{file} was damaged and has been removed: the next run predicts it again ({error})"
            ) from error

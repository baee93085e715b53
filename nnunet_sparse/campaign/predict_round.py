"""Predicting the slices of a new round, for guide and prefilled labels."""

from collections.abc import Mapping
from functools import partial

import numpy as np
from tqdm import tqdm

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.predicted_slices import (
    PredictedSlices,
    as_levels,
    predictions_file,
    ranks_of,
)
from nnunet_sparse.data.image_files import read_image
from nnunet_sparse.prediction.loaded_network import LoadedNetwork
from nnunet_sparse.prediction.probability_slab import probability_slabs
from nnunet_sparse.selection.ask_network import AskedNetwork
from nnunet_sparse.selectors import SeenByNetwork
from nnunet_sparse.system.devices import best_device


def predict_round(
    campaign: Campaign, asked: AskedNetwork, seen: Mapping[str, SeenByNetwork]
) -> None:
    """Predict the slices of the last round, and keep what is predicted in the campaign.

    Parameters
    ----------
    campaign
        With the round, whose slices are neither in labels nor written.
    asked
        The network.
    seen
        What it says of the volumes, by case ID; of those of the round at least.

    Raises
    ------
    SparseError, OSError
        If the network or an image cannot be used, or nothing can be written.
    """
    number = len(campaign.rounds) - 1
    asking, given = campaign.rounds[number], campaign.rounds[:number]
    free = {
        c: ~np.isin(
            np.arange(len(said.entropy)),
            [i for before in given for i in before.slices.get(c, ())],
        )
        for c, said in seen.items()
    }
    rank = ranks_of({c: said.entropy for c, said in seen.items()}, free)
    num_ranked = sum(int(of_case.sum()) for of_case in free.values())
    network = LoadedNetwork(asked.network, best_device(asked.device))
    for case_id in tqdm(asking.slices, "Predicting slices", leave=False, disable=None):
        wanted = np.array(asking.slices[case_id])
        label, uncertainty = _predicted(campaign, network, case_id, wanted)
        PredictedSlices(
            wanted,
            label,
            uncertainty,
            seen[case_id].entropy[wanted],
            rank[case_id][wanted],
            num_ranked,
        ).write(predictions_file(campaign, number, case_id), campaign.folder)


def _predicted(
    campaign: Campaign, network: LoadedNetwork, case_id: str, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Label and uncertainty of some slices of a case."""
    reader = campaign.images.reader()
    image = network.prepare(campaign.image_files(case_id), partial(read_image, reader=reader))
    values = network.network.label_values
    dtype, num_labels = np.min_scalar_type(campaign.ignore_label), len(values)
    labels, uncertainties = [], []
    scratch = campaign.feature_paths.preprocessed
    scratch.mkdir(exist_ok=True)
    for slab in probability_slabs(network, image, campaign.axis, case_id, scratch):
        here = wanted[(wanted >= slab.first) & (wanted < slab.first + len(slab.label))]
        if len(here):
            planes = here - slab.first
            labels.append(slab.label[planes].cpu().numpy().astype(dtype))
            entropy = slab.head_entropy().sum(dim=0)[planes].cpu().numpy()
            uncertainties.append(as_levels(entropy, num_labels))
    return np.concatenate(labels), np.concatenate(uncertainties)

import numpy as np
from tiny import write_volume

from nnunet_sparse.doctor.preprocessed_case import PreprocessedJob, read_preprocessed_facts


def test_what_stock_would_lose_along_a_transposed_axis(tmp_path):
    label = np.full((10, 24, 12), 3, np.uint8)
    label[:, 3::4] = 0
    file = tmp_path / "a.nii.gz"
    write_volume(file, label)
    arguments = {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None}

    def stock_lost(distance):
        job = PreprocessedJob(
            case_id="a",
            label=file,
            reader="SimpleITKIO",
            folder=None,
            axis=1,
            ignore_label=3,
            transpose_forward=(1, 0, 2),
            configuration={
                "spacing": [distance, 1, 1],
                "resampling_fn_seg": "resample_data_or_seg_to_shape",
                "resampling_fn_seg_kwargs": arguments,
            },
            spacing=(1, 2, 1),
        )
        facts = read_preprocessed_facts(job)
        assert (facts.num_annotated, facts.num_cropped, facts.lost) == (6, 0, None)
        return facts.stock_lost

    # the same planes; every second one, which are ties; every fourth one, two slices away
    assert [stock_lost(distance) for distance in (2, 4, 8)] == [0, 0, 6]

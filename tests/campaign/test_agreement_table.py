import math

from nnunet_sparse.campaign.agreement_table import agreement_table
from nnunet_sparse.campaign.progress import CampaignProgress, CaseProgress
from nnunet_sparse.campaign.reader_agreement import Readings, SliceAgreement
from nnunet_sparse.campaign.slice_states import SliceStates
from nnunet_sparse.evaluation.metrics import Counts

TABLE = """\
second:   4: 1 todo, 3 done, 0 confirmed empty, for another annotator; 3 compared
look at:  b, slices 5, 7: the second reading is by the first annotator, and is not compared
look at:  slices read twice without a name in both columns annotator: 2
problem:  a.nii.gz is damaged (second reading)

between readers       Dice           range  pooled Dice   HD95 mm         range  by one  by none
liver            0.600 (3)  0.000 to 1.000        0.828  1.50 (2)  0.00 to 3.00       1        0
tumour                   -               -            -         -             -       0        3"""


def test_means_ranges_and_what_is_not_compared() -> None:
    """Dice 1, 0.8 and 0; of all pixels 2 * 12 / (2 * 12 + 2 + 3)."""
    progress = CampaignProgress(
        {
            "a": CaseProgress(SliceStates(todo=(1,)), "a.nii.gz is damaged", None),
            "b": CaseProgress(SliceStates(done=(3, 5, 7)), None, None),
        },
        [],
        {},
    )
    nothing = SliceAgreement(Counts())
    liver = [
        SliceAgreement(Counts(4, 0, 0), 0.0),
        SliceAgreement(Counts(8, 2, 2), 3.0),
        SliceAgreement(Counts(0, 0, 1), math.nan),
    ]
    readings = Readings(
        progress, {"liver": liver, "tumour": [nothing] * 3}, {"b": [5, 7]}, num_unnamed=2
    )
    assert agreement_table(readings) == TABLE


def test_nothing_to_compare() -> None:
    progress = CampaignProgress({"a": CaseProgress(SliceStates(todo=(1, 2)), None, None)}, [], {})
    assert agreement_table(Readings(progress, {"liver": []})) == (
        "second:   2: 2 todo, 0 done, 0 confirmed empty, for another annotator; 0 compared"
    )

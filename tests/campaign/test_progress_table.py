from pathlib import Path

from nnunet_sparse.campaign.progress import CampaignProgress, CaseProgress
from nnunet_sparse.campaign.progress_table import progress_table
from nnunet_sparse.campaign.slice_states import SliceStates
from nnunet_sparse.campaign.worklist import Answers

TABLE = """\
case       asked  done  empty  todo  extra  minutes  state
a              3     2      0     1      1      2.5  touched
long_case      1     0      1     0      0           confirmed empty

volumes:  2: 0 todo, 1 touched, 0 done, 1 confirmed empty
slices:   4: 1 todo, 2 done, 1 confirmed empty; 1 annotated that were not asked for
time:     2.5 min for 1 slices, 2.5 min a slice; about 2 min left
look at:  a, slice 4: confirmed empty, but with an object, or ignore everywhere
look at:  a, slice 9: annotated, but not asked for
problem:  long_case.nii.gz is damaged
unknown:  other.nii.gz belongs to no case"""


def test_columns_sums_and_what_is_wrong() -> None:
    states = SliceStates(todo=(2,), done=(1,), contradictory=(4,), extra=(9,))
    cases = {
        "a": CaseProgress(states, None, None),
        "long_case": CaseProgress(SliceStates(empty=(0,)), "long_case.nii.gz is damaged", None),
    }
    progress = CampaignProgress(cases, [Path("other.nii.gz")], {})
    assert progress_table(Answers({("a", 1): {"minutes": "2,5"}}), progress) == TABLE

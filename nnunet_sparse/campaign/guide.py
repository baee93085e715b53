"""The page that tells people how to annotate a campaign, and its pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from urllib.parse import quote

from nnunet_sparse.campaign.campaign import SECOND_FOLDER, Campaign
from nnunet_sparse.campaign.guide_pictures import draw_asked, draw_prefilled
from nnunet_sparse.campaign.label_descriptions import ITKSNAP_FILE, SLICER_FILE, label_descriptions
from nnunet_sparse.system.atomic import write_text
from nnunet_sparse.system.parallel import map_cases

PAGE_FILE = "README.html"
PICTURE_FOLDER = "pictures"
PREFILLED_FILE = "how_it_looks.png"
_TEMPLATE = "guide.html"
# numbers of a voxel in a file, which are the axes of the array the other way round
_AXIS_LETTERS = (("z", "K", "third"), ("y", "J", "second"), ("x", "I", "first"))


@dataclass(frozen=True)
class _GuidedVolume:
    """A volume in the list of the page."""

    case_id: str
    slices: tuple[int, ...]
    picture: str

    @property
    def from_0(self) -> str:
        """Numbers of the slices as arrays count them."""
        return ", ".join(map(str, self.slices))

    @property
    def from_1(self) -> str:
        """Numbers of the slices as ITK-SNAP counts them."""
        return ", ".join(str(i + 1) for i in self.slices)


def write_guide(campaign: Campaign, order: Sequence[str], num_processes: int) -> None:
    """Write ``README.html`` and the pictures of all slices that are asked for.

    Parameters
    ----------
    campaign
        The campaign; its images and label files must be there.
    order
        Every case with a slice to annotate, as they are to be worked on.
    num_processes
        Number of processes that draw.

    Raises
    ------
    ValueError
        If ``order`` does not name each case with a slice to annotate once.
    SparseError
        If an image or a label file cannot be read.
    """
    if sorted(order) != campaign.asked_cases:
        raise ValueError(
            f"order must name the cases with slices to annotate, {campaign.asked_cases}, each "
            f"once, got {list(order)}"
        )
    (campaign.folder / PICTURE_FOLDER).mkdir(exist_ok=True)
    cases = {case_id: case_id for case_id in order}
    map_cases(partial(_draw, campaign), cases, num_processes, "drawing slices")
    if order:
        draw_prefilled(campaign, order[0], campaign.folder / PICTURE_FOLDER / PREFILLED_FILE)
    write_text(campaign.folder / PAGE_FILE, guide_page(campaign, order))


def guide_page(campaign: Campaign, order: Sequence[str]) -> str:
    """HTML of the page.

    Parameters
    ----------
    campaign
        The campaign.
    order
        Cases with slices to annotate, as they are to be worked on.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = files("nnunet_sparse.campaign").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    volumes = [
        _GuidedVolume(case_id, campaign.asked(case_id), quote(_picture(case_id)))
        for case_id in order
    ]
    letter, capital, place = _AXIS_LETTERS[campaign.axis]
    return environment.from_string(text).render(
        name=campaign.name,
        plane=campaign.plane,
        channels=campaign.images.num_channels,
        labels=label_descriptions(campaign),
        ignore=campaign.ignore_label,
        volumes=volumes,
        num_slices=sum(len(volume.slices) for volume in volumes),
        prefilled=f"{PICTURE_FOLDER}/{PREFILLED_FILE}" if volumes else None,
        itksnap_file=ITKSNAP_FILE,
        slicer_file=SLICER_FILE,
        letter=letter,
        capital=capital,
        place=place,
        asked_by_network=any(asking.network is not None for asking in campaign.rounds),
        has_predictions=campaign.has_predictions,
        is_second_reading=campaign.is_second_reading,
        num_second=sum(len(campaign.second_asked(case_id)) for case_id in order),
        second_folder=SECOND_FOLDER,
    )


def _draw(campaign: Campaign, case_id: str) -> None:
    draw_asked(campaign, case_id, campaign.folder / _picture(case_id))


def _picture(case_id: str) -> str:
    return f"{PICTURE_FOLDER}/{case_id}.png"

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from tiny import tree

from nnunet_sparse.campaign.campaign import Campaign
from nnunet_sparse.campaign.guide import guide_page, write_guide


class _Page(HTMLParser):
    """Links and words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.fixture
def campaign(write_campaign: Any) -> Campaign:
    found: Campaign = write_campaign({"a": (0, 2), "b": (3,)})
    return found


def test_everything_a_page_links_to_is_there(campaign: Campaign) -> None:
    write_guide(campaign, ["b", "a"], 1)
    page = _Page((campaign.folder / "README.html").read_text("utf-8"))
    files = {link for link in page.links if not link.startswith("#")}
    assert files == {"pictures/a.png", "pictures/b.png", "pictures/how_it_looks.png"}
    assert all((campaign.folder / file).is_file() for file in files)
    ids = set(re.findall(r'id="(\w+)"', guide_page(campaign, ["b", "a"])))
    assert {link[1:] for link in page.links if link.startswith("#")} <= ids


def test_volumes_stand_in_the_order_of_work(campaign: Campaign) -> None:
    text = guide_page(campaign, ["b", "a"])
    rows = re.findall(
        r'<strong>(\w)</strong></td><td data-name="Slices">(\d)</td>\s*'
        r'<td data-name="Counted from 0">([\d, ]+)</td><td data-name="Counted from 1">([\d, ]+)<',
        text,
    )
    assert rows == [("b", "1", "3", "4"), ("a", "2", "0, 2", "1, 3")]
    assert "3 axial slices of 2" in text


def test_what_users_write_is_no_markup(write_campaign: Any) -> None:
    name, label = "a<b>&c", '<script>alert("1")</script> & more'
    campaign = write_campaign({"x": (1,)}, name=name, labels={label: 1})
    page = _Page(guide_page(campaign, ["x"]))
    assert name in page.words
    assert label in page.words
    assert not {"script", "b"} & set(page.tags)


def test_a_case_whose_name_is_no_address(write_campaign: Any) -> None:
    campaign = write_campaign({"50%_#1": (1,)})
    write_guide(campaign, ["50%_#1"], 1)
    assert (campaign.folder / "pictures" / "50%_#1.png").is_file()
    assert "pictures/50%25_%231.png" in _Page(guide_page(campaign, ["50%_#1"])).links


@pytest.mark.parametrize(
    ("axis", "place"), [(0, "third number"), (1, "second number"), (2, "first number")]
)
def test_which_number_of_a_voxel_is_the_slice(write_campaign: Any, axis: int, place: str) -> None:
    text = guide_page(write_campaign({"a": (1,)}, axis=axis), ["a"])
    assert f"number of a slice is the {place} of a voxel" in text


def test_labels_and_their_colours(campaign: Campaign) -> None:
    text = guide_page(campaign, ["a", "b"])
    found = re.findall(r'background: (#\w+)"></span></td><td>(\d)</td>\s*<td>(\w+)', text)
    assert found == [
        ("#E69F00", "1", "organ"),
        ("#56B4E9", "2", "lesion"),
        ("#808080", "3", "ignore"),
    ]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_other_channels_are_named(write_campaign: Any, count: int) -> None:
    text = guide_page(write_campaign({"a": (1,)}, channels=("T1", "T2", "PD")[:count]), ["a"])
    assert ("_0001" in text, "_0002" in text) == (count > 1, count > 2)


def test_a_page_loads_nothing_from_elsewhere(campaign: Campaign) -> None:
    assert not re.search(r"https?:|//|@import|url\(", guide_page(campaign, ["a", "b"]))


def test_equal_campaigns_have_equal_guides(write_campaign: Any) -> None:
    campaign = write_campaign({"a": (0, 2), "b": (3,)})
    write_guide(campaign, ["a", "b"], 1)
    before = tree(campaign.folder)
    write_guide(campaign, ["a", "b"], 1)
    assert tree(campaign.folder) == before


def test_several_processes_draw_the_same(campaign: Campaign) -> None:
    write_guide(campaign, ["a", "b"], 1)
    before = tree(campaign.folder)
    write_guide(campaign, ["a", "b"], 2)
    assert tree(campaign.folder) == before


@pytest.mark.parametrize("order", [["a"], ["a", "b", "b"], ["a", "b", "c"]])
def test_an_order_that_misses_the_cases(campaign: Campaign, order: list[str]) -> None:
    with pytest.raises(ValueError, match=r"\['a', 'b'\].*got \['a'"):
        write_guide(campaign, order, 1)


def test_nothing_is_asked_for(write_campaign: Any) -> None:
    campaign = write_campaign({"a": ()})
    empty = Campaign(campaign.folder, campaign.dataset, 0, "axial", campaign.volumes, ())
    write_guide(empty, [], 1)
    assert "0 axial slices of 0 volumes are" in _Page(
        (campaign.folder / "README.html").read_text("utf-8")
    ).words.replace("\n", " ")

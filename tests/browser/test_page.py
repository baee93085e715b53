"""The page of a report in a real browser (Debian's chromium and chromium-driver)."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grid_results import result
from waiting import GUARD_S

from nnunet_sparse.data.sliced_volume import SlicedVolume
from nnunet_sparse.report.grid import paper_tables as grid_tables
from nnunet_sparse.report.grid.mask_quality import MaskQuality
from nnunet_sparse.report.grid.page import ShownFigure, render_page
from nnunet_sparse.report.grid.paired_findings import findings_table
from nnunet_sparse.report.grid.panels import panels
from nnunet_sparse.report.grid.paper_figures import drop_plots, selector_plots
from nnunet_sparse.report.grid.slice_viewer import _view
from nnunet_sparse.report.tables import Table

ODD = (("3DA", "10.5"), ("2DZ", "undefined"), ("1D", ""), ("20DB", "9.5 (1 of 2)"))
pytestmark = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="needs Debian's packages chromium and chromium-driver",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = [
        result(
            0.4 + rho / 4 + s / 10 + rep / 100 + (selector == "fixed") / 50,
            task=task,
            configuration=configuration,
            rho=rho,
            s=s,
            selector=selector,
            repeat=rep,
            num_slices=round(1000 * rho * s),
        )
        for task in ("Hippocampus", "Liver<b>")
        for configuration in ("2d", "3d_fullres")
        for rho in (0.1, 0.2)
        for s in (0.5, 1.0)
        for selector in ("fixed", "random")
        for rep in range(2)
    ]
    results += [
        result(0.9, task=task, kind="dense", rho=1.0) for task in ("Hippocampus", "Liver<b>")
    ]
    shown = panels(results)
    volumes = []
    for panel, name in ((shown[0], "Anterior"), (shown[3], "Tumour, core")):
        image = np.linspace(0, 1, 6 * 20 * 30).reshape(6, 20, 30)
        label = np.zeros((6, 20, 30), int)
        label[:, 5:15, 5:25] = 1
        volume = SlicedVolume(image, label, np.array([1.0, 1.0, 1.0]), (0.0, 1.0))
        unknown = np.full_like(label, -1)
        layers = {"truth": label, "annotation": unknown}
        title = "a_case_with_a_long_name_0001 (test, IoU 0.25)"
        volumes.append(_view(title, panel, volume, layers, ((name, "#E69F00"),)))
    quality = MaskQuality("Liver<b>", "shape", 0.1, 1.0, "fixed", "volume", 1.0, 0, True, 0.9)
    text = render_page(
        title="Which slices?",
        summary="64 of 64 trainings",
        sentences=["More volumes are better: undecided."],
        figures=[
            ShownFigure("figure1", "Drop", drop_plots(shown)),
            ShownFigure("figure5", "Deviation", selector_plots(shown)),
        ],
        tables=[
            findings_table(shown),
            *grid_tables.budget_tables(shown),
            grid_tables.selector_table(shown),
            grid_tables.quality_table([quality]),
            Table("odd", "Odd", ("name", "value"), ODD),
        ],
        volumes=volumes,
        tasks=["Hippocampus", "Liver<b>"],
        configurations=["2d", "3d_fullres"],
        origin="nnunetv2",
    )
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, Service(str(shutil.which("chromedriver"))))
    driver.set_script_timeout(GUARD_S)
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser: Any, page: Path) -> Any:
    browser.get_log("browser")  # of other tests
    browser.set_window_size(1200, 900)
    browser.get(page.as_uri())
    # pictures are loaded before the viewer draws
    browser.execute_async_script(
        "const wait = () => current ? arguments[0]() : setTimeout(wait, 20); wait()"
    )
    return browser


def column(browser: Any, table: str, name: str) -> list[str]:
    """Visible cells of a column."""
    return list(
        browser.execute_script(
            """
            const table = document.querySelector(`table[data-name=${arguments[0]}]`);
            const names = [...table.querySelectorAll('th')].map((cell) => cell.textContent);
            return [...table.tBodies[0].rows].filter((row) => !row.hidden)
              .map((row) => row.cells[names.indexOf(arguments[1])].textContent);
            """,
            table,
            name,
        )
    )


def choose(browser: Any, select: str, value: str) -> None:
    browser.execute_script(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
        "s.dispatchEvent(new Event('change'))",
        select,
        value,
    )


def click_header(browser: Any, table: str, name: str) -> None:
    browser.execute_script(
        """
        const table = document.querySelector(`table[data-name=${arguments[0]}]`);
        [...table.querySelectorAll('th button')]
          .find((button) => button.textContent === arguments[1]).click();
        """,
        table,
        name,
    )


def pixel(browser: Any) -> list[int]:
    """Colour in the middle of the viewer."""
    return list(
        browser.execute_script(
            "const c = document.getElementById('canvas');"
            "return [...c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data]"
        )
    )


def press(browser: Any, key: str) -> None:
    browser.execute_script(
        "document.getElementById('canvas').dispatchEvent("
        "new KeyboardEvent('keydown', {key: arguments[0], bubbles: true}))",
        key,
    )


def index(browser: Any) -> int:
    return int(browser.execute_script("return document.getElementById('index').textContent"))


def test_no_error_and_no_network(opened: Any) -> None:
    assert [entry for entry in opened.get_log("browser") if entry["level"] == "SEVERE"] == []
    requests = [entry["message"] for entry in opened.get_log("performance")]
    assert not any('"url":"http' in message for message in requests)


def test_columns_are_sorted(opened: Any) -> None:
    click_header(opened, "selectors", "fixed")
    values = [float(text.split()[0]) for text in column(opened, "selectors", "fixed")]
    assert values == sorted(values)
    click_header(opened, "selectors", "fixed")
    values = [float(text.split()[0]) for text in column(opened, "selectors", "fixed")]
    assert values == sorted(values, reverse=True)
    click_header(opened, "selectors", "task")
    tasks = column(opened, "selectors", "task")
    assert tasks == sorted(tasks)


def test_what_is_no_number_is_sorted_as_well(opened: Any) -> None:
    for last in (["10.5", "9.5 (1 of 2)"][::-1], ["10.5", "9.5 (1 of 2)"]):
        click_header(opened, "odd", "value")
        assert column(opened, "odd", "value")[:2] == last
    click_header(opened, "odd", "name")
    assert column(opened, "odd", "name") == ["1D", "20DB", "2DZ", "3DA"]


def test_rows_are_filtered(opened: Any) -> None:
    assert len(column(opened, "selectors", "task")) == 16
    choose(opened, "task", "Liver<b>")
    assert set(column(opened, "selectors", "task")) == {"Liver<b>, 2d", "Liver<b>, 3d_fullres"}
    choose(opened, "configuration", "3d_fullres")
    assert set(column(opened, "selectors", "task")) == {"Liver<b>, 3d_fullres"}
    assert set(column(opened, "findings", "task")) == {"all", "Liver<b>, 3d_fullres"}
    volume = opened.execute_script("return document.getElementById('volume').selectedIndex")
    assert volume == 1
    choose(opened, "task", "")
    choose(opened, "configuration", "")
    assert len(column(opened, "selectors", "task")) == 16


def visible(browser: Any, selector: str) -> list[str]:
    """Alternative texts, names or contents of elements that can be seen."""
    return list(
        browser.execute_script(
            "return [...document.querySelectorAll(arguments[0])]"
            ".filter((e) => e.getClientRects().length)"
            ".map((e) => e.alt || e.dataset.name || e.textContent)",
            selector,
        )
    )


def test_figures_are_filtered(opened: Any) -> None:
    names = [
        f"{task}, {way}" for task in ("Hippocampus", "Liver<b>") for way in ("2d", "3d_fullres")
    ]
    parts = "figure[data-name=figure5] img"
    assert visible(opened, parts) == [f"Deviation ({name})" for name in names]
    assert visible(opened, ".of-all") == []
    choose(opened, "task", "Liver<b>")
    choose(opened, "configuration", "2d")
    assert visible(opened, parts) == ["Deviation (Liver<b>, 2d)"]
    # a mean over tasks stays, and says so
    assert len(visible(opened, "figure[data-name=figure1] img")) == 1
    notes = visible(opened, ".of-all")
    assert len(notes) == 2
    assert all("over all tasks and configurations" in note for note in notes)


def test_tables_of_tasks_and_of_dimensions_are_filtered(opened: Any) -> None:
    before = ["findings", "table2"]
    assert visible(opened, "section") == [*before, "table3", "selectors", "table5", "odd"]
    choose(opened, "configuration", "2d")
    # masks belong to a task, whatever is trained with them
    assert visible(opened, "section") == [*before, "selectors", "table5", "odd"]
    assert visible(opened, "#shown") == ["29 of 49 rows of the tables below"]
    choose(opened, "task", "Hippocampus")
    assert visible(opened, "section") == [*before, "selectors", "odd"]


def test_the_viewer_is_filtered(opened: Any) -> None:
    assert visible(opened, "#legend span") == ["Anterior", "not annotated"]
    choose(opened, "task", "Liver<b>")
    opened.execute_async_script(
        "const wait = () => current.task === 'Liver<b>' ? arguments[0]() : setTimeout(wait, 20);"
        "wait()"
    )
    assert visible(opened, "#legend span") == ["Tumour, core", "not annotated"]
    choose(opened, "configuration", "2d")
    assert visible(opened, "#viewer") == []
    assert visible(opened, "#no-volume") == ["No volume of this task and configuration is there."]
    choose(opened, "configuration", "")
    assert visible(opened, "#no-volume") == []
    assert len(visible(opened, "#viewer")) == 1


def test_the_menu_of_volumes_is_not_cut(opened: Any) -> None:
    shown, wanted = opened.execute_script(
        "const menu = byId('volume'), free = menu.cloneNode(true);"
        "free.style.cssText = 'position: absolute; max-width: none';"
        "document.body.append(free);"
        "const widths = [menu.clientWidth, free.clientWidth]; free.remove(); return widths"
    )
    assert shown >= wanted > 300


def test_keys_leaf_through_slices(opened: Any) -> None:
    assert index(opened) == 3
    for key, expected in (("ArrowRight", 4), ("ArrowDown", 5), ("ArrowRight", 5), ("ArrowLeft", 4)):
        press(opened, key)
        assert index(opened) == expected


def test_keys_switch_layers(opened: Any) -> None:
    with_truth = pixel(opened)
    assert with_truth[0] > with_truth[2] + 20  # orange over grey
    press(opened, "1")
    plain = pixel(opened)
    assert max(plain[:3]) - min(plain[:3]) <= 1
    press(opened, "2")
    assert pixel(opened) != plain
    press(opened, "9")  # there is no such layer


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_everything_without_scrolling_sideways(opened: Any, dark: bool) -> None:
    scheme = "dark" if dark else "light"
    opened.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True},
    )
    width = opened.execute_script("return document.documentElement.scrollWidth")
    # one below the other, so that their text can be read
    widths = opened.execute_script(
        "return [...document.querySelectorAll('figure img')].map((image) => image.clientWidth)"
    )
    assert min(widths) > 300
    back = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert width <= 360
    assert (back == "rgb(255, 255, 255)") is not dark

import csv
import io

import pytest

from nnunet_sparse.report.tables import Table, markdown_text, mean_and_deviation

TABLE = Table("my_table", "IoU of A & B", ("task", "x|y"), (("a_b", "0.5 ± 0.1"), ("50 %", "")))


def test_markdown() -> None:
    assert TABLE.to_markdown() == (
        "**IoU of A & B**\n\n| task | x\\|y |\n|---|---|\n| a_b | 0.5 ± 0.1 |\n| 50 % | — |\n"
    )


def test_csv() -> None:
    rows = list(csv.reader(io.StringIO(TABLE.to_csv())))
    assert rows == [["task", "x|y"], ["a_b", "0.5 ± 0.1"], ["50 %", ""]]


def test_latex() -> None:
    text = TABLE.to_latex()
    assert r"\caption{IoU of A \& B}" in text
    assert r"\label{tab:my-table}" in text
    assert r"a\_b & 0.5 $\pm$ 0.1 \\" in text
    assert r"50 \% & --- \\" in text


def test_latex_of_numbers_and_texts() -> None:
    rows = (
        ("a", "not supported", "-0.025", "-0.29 to +0.24", "3d", "12-14", ""),
        ("b-2", "undecided", "undefined", "", "0.5", "9 (1 of 2)", ""),
    )
    text = Table("t", "", ("task", "verdict", "x-1", "y", "way", "slices", "z"), rows).to_latex()
    assert r"\begin{tabular}{llrrlrr}" in text
    assert "task & verdict & x-1 & y" in text
    assert r"a & not supported & $-$0.025 & $-$0.29 to +0.24 & 3d & 12--14 & --- \\" in text
    assert r"b-2 & undecided & undefined & --- & 0.5 & 9 (1 of 2) & --- \\" in text


def test_rows_are_as_long_as_the_header() -> None:
    with pytest.raises(ValueError, match="another length"):
        Table("t", "", ("a", "b"), (("1",),))


def test_a_group_for_each_row() -> None:
    rows = (("1",), ("2",))
    groups = (("Liver", "2d"), ("", ""))
    assert Table("t", "", ("a",), rows, groups).grouped_rows == list(zip(rows, groups, strict=True))
    assert Table("t", "", ("a",), rows).grouped_rows[1] == (("2",), ("", ""))
    with pytest.raises(ValueError, match="as many groups as rows"):
        Table("t", "", ("a",), rows, groups[:1])


def test_mean_and_deviation() -> None:
    assert mean_and_deviation([]) == ""
    assert mean_and_deviation([0.5]) == "0.500"
    assert mean_and_deviation([1.0, 2.0, 3.0], 1) == "2.0 ± 1.0"


def test_names_are_neither_html_nor_links_nor_formulas() -> None:
    names = ("<img src=x>", "[a](http://b)")
    table = Table("t", "<b>\n# title", names, (("=1+1", "&lt;|"),))
    assert table.to_markdown() == (
        "**&lt;b> # title**\n\n| &lt;img src=x> | [a]\\(http://b) |\n|---|---|\n"
        "| =1+1 | &amp;lt;\\| |\n"
    )
    rows = list(csv.reader(io.StringIO(table.to_csv())))
    assert rows == [list(names), ["'=1+1", "&lt;|"]]
    assert markdown_text("p < 0.05 & more") == "p &lt; 0.05 & more"

"""Tables in documents are those of the committed results that they name."""

from pathlib import Path
from types import ModuleType

import pytest
from grid_results import result

from nnunet_sparse.report.grid.kept_results import write_kept_results
from nnunet_sparse.system.errors import SparseError

ROOT = Path(__file__).parents[2]
COMMAND = '<!-- nnsparse_report results/made_up.csv --tables findings table2 --rows "Liver, 2d" -->'


@pytest.fixture
def docs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import docs_tables

    return docs_tables


def test_documents_have_the_tables_of_the_results(docs: ModuleType) -> None:
    for page in docs.pages(ROOT):
        text = page.read_text(encoding="utf-8")
        assert docs.with_tables(text, ROOT) == text, (
            f"{page.name} differs from its results: python benchmarks/docs_tables.py"
        )


def test_every_file_of_results_is_quoted(docs: ModuleType) -> None:
    pages = [page.read_text(encoding="utf-8") for page in docs.pages(ROOT)]
    quoted = set().union(*(docs.quoted_results(text, ROOT) for text in pages))
    assert set((ROOT / "benchmarks").rglob("*.csv")) == quoted


def made_up(folder: Path, gain: float) -> None:
    results = [
        result(0.5 + more, task=task, rho=rho, s=s, num_slices=100, repeat=repeat, key=key)
        for task in ("Liver", "Spleen")
        for rho, s, more in ((0.1, 1.0, gain), (0.2, 0.5, 0.0))
        for repeat in range(2)
        for key in [f"{task}{rho}{repeat}"]
    ]
    (folder / "results").mkdir(exist_ok=True)
    write_kept_results(results, [], folder / "results" / "made_up.csv")


def test_a_table_follows_its_results(docs: ModuleType, tmp_path: Path) -> None:
    made_up(tmp_path, 0.1)
    page = f"# Findings\n\nBefore.\n\n{COMMAND}\nold\n<!-- end of table -->\n\nAfter.\n"
    first = docs.with_tables(page, tmp_path)
    assert first.startswith(f"# Findings\n\nBefore.\n\n{COMMAND}\n\n**Findings: mean paired")
    assert first.endswith("\n<!-- end of table -->\n\nAfter.\n")
    row = "| fewer slices on more volumes are better than more on fewer (same budget) | Liver, 2d "
    assert f"{row}| supported | +0.100 |" in first
    assert "| Liver, 2d | 0.100 |" in first
    assert "Spleen" not in first
    assert docs.with_tables(first, tmp_path) == first
    assert docs.quoted_results(first, tmp_path) == {tmp_path / "results" / "made_up.csv"}
    made_up(tmp_path, -0.1)
    assert f"{row}| not supported | -0.100 |" in docs.with_tables(first, tmp_path)


def test_a_command_that_fails_is_told(docs: ModuleType, tmp_path: Path) -> None:
    page = f"{COMMAND}\n<!-- end of table -->\n"
    with pytest.raises(SparseError, match=r"nnsparse_report results/made_up\.csv .* failed"):
        docs.with_tables(page, tmp_path)


@pytest.mark.parametrize("check", [True, False])
def test_the_script(
    docs: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    check: bool,
) -> None:
    made_up(tmp_path, 0.1)
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "findings.md"
    page.write_text(f"{COMMAND}\n<!-- end of table -->\n")
    (tmp_path / "README.md").write_text("nothing\n")
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    assert docs.main(["--check"] if check else []) == (2 if check else 0)
    assert str(page) in "".join(capsys.readouterr())
    assert ("supported" in page.read_text()) != check

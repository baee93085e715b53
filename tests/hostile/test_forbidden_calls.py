"""What runs the code of others, or takes what is no JSON, is called in the places that may."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("nnunet_sparse", "trainers", "planners", "dataset_tools")
ALLOWED = {
    # checkpoints that nnU-Net itself has written and loads in the same training
    ("grid/train_work.py", "torch.load"),
    ("recipe_trainer.py", "torch.load"),
    # the reader that admits data alone
    ("system/plain_pickle.py", "pickle._Unpickler"),
    # errors that this process has pickled, to find out whether they arrive in its parent
    ("system/workers.py", "pickle.loads"),
    # the reader of JSON, and texts that are no files
    ("system/json_files.py", "json.loads"),
    ("system/atomic.py", "json.loads"),
    ("grid/job_server.py", "json.loads"),
    ("convert/convert.py", "json.loads"),
}
UNSAFE = re.compile(
    r"(.*\.)?(pickle\.(load|loads|_?Unpickler)|dill\.loads?|joblib\.load|marshal\.loads?|"
    r"shelve\.open|pandas\.read_pickle|pd\.read_pickle|load_pickle|read_pickle|"
    r"json\.loads?|yaml\.(load|load_all|full_load|unsafe_load|Loader|UnsafeLoader)|"
    r"os\.system|os\.popen|subprocess\.getoutput)|eval|exec"
)

MODULES = {"pickle", "dill", "joblib", "marshal", "shelve", "json", "yaml"}


def calls(file: Path) -> set[str]:
    """Unsafe calls of a file, and safe ones that are made unsafe by their arguments."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and UNSAFE.fullmatch(name := ast.unparse(node)):
            found.add(name)  # whether it is called here, or handed on
        if isinstance(node, ast.ImportFrom | ast.Import):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            names = {f"{module}{alias.name}" for alias in node.names}
            hidden = {alias.name for alias in node.names if alias.asname} & MODULES
            found |= {name for name in names if UNSAFE.fullmatch(name)} | hidden
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if UNSAFE.fullmatch(name):
            found.add(name)
        if name == "torch.load" and options.get("weights_only") != "True":
            found.add(name)
        if options.get("allow_pickle") == "True":
            found.add(f"{name}(allow_pickle=True)")
        if options.get("shell") == "True":
            found.add(f"{name}(shell=True)")
    return found


def test_strangers_run_nothing() -> None:
    found = {
        (str(file.relative_to(ROOT)), name)
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*.py")
        for name in calls(file)
    }
    allowed = {(f, n) for f, n in found for end, what in ALLOWED if f.endswith(end) and n == what}
    assert found - allowed == set()
    assert len(allowed) == len(ALLOWED)


def test_planted_calls_are_found(tmp_path: Path) -> None:
    for text in (
        "pickle.load(f)",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "yaml.load(f)",
        "np.load(f, allow_pickle=True)",
        "load_pickle(f)",
        "json.load(f)",
        "read = json.loads",
        "subprocess.run(c, shell=True)",
        "from pickle import load",
        "from json import loads as read",
        "import pickle as p",
        "class A(pickle.Unpickler): pass",
    ):
        (tmp_path / "a.py").write_text(text)
        assert calls(tmp_path / "a.py")

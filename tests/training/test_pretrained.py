import pytest

from nnunet_sparse.system.errors import SparseError
from nnunet_sparse.training import pretrained
from nnunet_sparse.training.pretrained import WEIGHTS_FOLDER, find_weights


@pytest.fixture(autouse=True)
def no_network(monkeypatch, tmp_path):
    def fail(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("socket.create_connection", fail)
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(
        "huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"), raising=False
    )
    monkeypatch.delenv(WEIGHTS_FOLDER, raising=False)
    for name in ("HTTPS_PROXY", "https_proxy", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


def test_a_file_of_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv(WEIGHTS_FOLDER, str(tmp_path))
    file = tmp_path / "vgg16-397923af.pth"
    file.touch()
    assert find_weights("cam_wnet") == file


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_a_folder_of_the_users(monkeypatch, tmp_path, weights):
    monkeypatch.setenv(WEIGHTS_FOLDER, str(tmp_path))
    folder = tmp_path / "mit-b3"
    folder.mkdir()
    (folder / weights).touch()
    with pytest.raises(SparseError, match=r"config\.json"):
        find_weights("segformer")
    (folder / "config.json").touch()
    assert find_weights("segformer") == folder


def test_what_torch_has_downloaded_before(tmp_path):
    file = tmp_path / "torch" / "hub" / "checkpoints" / "vgg16-397923af.pth"
    file.parent.mkdir(parents=True)
    file.touch()
    assert find_weights("cam_wnet") == file


def test_torch_downloads(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "torch.hub.download_url_to_file", lambda *args, **options: calls.append((args, options))
    )
    file = find_weights("cam_wnet")
    address = "https://download.pytorch.org/models/vgg16-397923af.pth"
    assert calls == [((address, str(file)), {"hash_prefix": "397923af"})]
    assert file.parent.is_dir()


def test_the_hub_downloads(monkeypatch, tmp_path):
    from huggingface_hub.errors import LocalEntryNotFoundError

    def download(repository, *, allow_patterns, etag_timeout, local_files_only=False):
        assert repository == "nvidia/mit-b3"
        assert {"config.json", "model.safetensors", "pytorch_model.bin"} == set(allow_patterns)
        assert etag_timeout <= 10
        if local_files_only:
            raise LocalEntryNotFoundError("not there")
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    monkeypatch.setattr(pretrained, "_check_reachable", lambda _: None)
    assert find_weights("segformer") == tmp_path


@pytest.mark.parametrize(
    ("architecture", "name", "address"),
    [
        ("cam_wnet", "vgg16-397923af.pth", "https://download.pytorch.org/models/vgg16-397923af"),
        ("segformer", "mit-b3 with config.json", "https://huggingface.co/nvidia/mit-b3"),
    ],
)
def test_without_network_the_error_says_what_to_put_where(
    monkeypatch, tmp_path, architecture, name, address
):
    with pytest.raises(SparseError) as error:
        find_weights(architecture)
    text = str(error.value)
    assert "\n" not in text
    for part in (
        name,
        address,
        f"set {WEIGHTS_FOLDER}",
        "-p NEW_NAME --set recipe.pretrained=false",
        "no route",
    ):
        assert part in text
    monkeypatch.setenv(WEIGHTS_FOLDER, str(tmp_path))
    with pytest.raises(SparseError, match=f"in {tmp_path}, or"):
        find_weights(architecture)


def test_the_users_folder_must_be_one(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    for name in ("file", "missing"):
        monkeypatch.setenv(WEIGHTS_FOLDER, str(tmp_path / name))
        with pytest.raises(SparseError, match=f"NNSPARSE_WEIGHTS is .*{name}, which is not a fold"):
            find_weights("cam_wnet")


def test_others_have_no_weights():
    with pytest.raises(SparseError, match="no pretrained weights for unetr"):
        find_weights("unetr")

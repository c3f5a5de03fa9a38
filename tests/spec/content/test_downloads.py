"""Tests of named data sets that are not on this machine: whether they can be downloaded is known before a run."""

import urllib.error
import urllib.request

import pytest

from sweeper.errors import DataError
from sweeper.spec.cards.datasets import DATASETS, EMBEDDED
from sweeper.spec.content.downloads import DOWNLOADS, check_download


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Use an empty cache folder."""
    monkeypatch.setenv("SWEEPER_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def offline(monkeypatch):
    """Let every request fail, as without a network."""

    def fail(*_, **__):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", fail)


def test_every_named_data_set_is_downloaded_or_comes_with_a_library():
    assert set(DATASETS) - set(DOWNLOADS) == EMBEDDED


@pytest.mark.parametrize("name", DOWNLOADS)
def test_without_a_network_the_file_and_its_folder_are_named(offline, cache, name):
    with pytest.raises(DataError) as caught:
        check_download(name, "md5:1")
    assert "can't be downloaded" in str(caught.value)
    assert "Name or service not known" in str(caught.value)
    assert f"put {DOWNLOADS[name].files[0]} into {cache}/downloads" in str(caught.value)


@pytest.mark.parametrize(
    "place", ["downloads/cifar-10-batches-py", "downloads/cifar-10-python.tar.gz", "decoded/md5-1-2"]
)
def test_a_data_set_that_is_here_needs_no_network(offline, cache, place):
    (cache / place).mkdir(parents=True)
    check_download("cifar10", "md5:1")


def test_a_server_that_refuses_is_named(monkeypatch):
    def refuse(request, **_):
        raise urllib.error.HTTPError(request.full_url, 403, "Forbidden", {}, None)  # type: ignore[arg-type]

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(DataError, match=r"svhn .* can't be downloaded from http://ufldl.* \(Forbidden\)"):
        check_download("svhn", "")


def test_digits_and_folders_are_not_downloaded(offline):
    check_download("digits", "")
    check_download("imagefolder", "sha")

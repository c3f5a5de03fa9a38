"""Tests of pointers of Git LFS: a data set that was cloned without its files says how to get them."""

import pytest
from support.image_sets import refusal

from sweeper.spec.content.lfs_pointers import is_pointer

POINTER_FILE = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n"


def test_a_parquet_file(parquet_folder):
    (parquet_folder / "train-00001.parquet").write_bytes(POINTER_FILE)
    message = refusal("parquet", parquet_folder)
    assert message == (
        f"{parquet_folder}/train-00001.parquet is a pointer of Git LFS, not the file itself; "
        "`git lfs pull` fetches the file"
    )


def test_an_image(image_folder):
    (image_folder / "train" / "cat" / "3.png").write_bytes(POINTER_FILE)
    assert "train/cat/3.png: the image is a pointer of Git LFS" in refusal("imagefolder", image_folder)


@pytest.mark.parametrize("content", [b"", b"version 2", b"PAR1"])
def test_other_files_are_none(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert not is_pointer(tmp_path / "file")
    assert not is_pointer(content)
    assert not is_pointer(tmp_path / "none")

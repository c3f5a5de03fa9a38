"""Tests of the facts of images: what is counted, stated, and remembered."""

import json
from dataclasses import replace

import pytest

from sweeper.spec.content.image_facts import (
    MOST_PROBLEMS,
    ImageFacts,
    OneImage,
    collect_facts,
    read_cached_facts,
    write_cached_facts,
)


def test_facts_are_read_back_from_the_cache():
    facts = collect_facts([OneImage("a", grey=True, size="2 x 3", lowest=4, highest=9), OneImage("b", size="2 x 3")], 1)
    write_cached_facts("digest", facts)
    assert read_cached_facts("digest") == facts
    assert (facts.channels, facts.sizes, facts.lowest, facts.highest) == (3, {"2 x 3": 2}, 4, 9)


def test_images_that_could_not_be_decoded_are_tried_again():
    write_cached_facts("bad", collect_facts([OneImage("a", "no memory")], 1))
    assert read_cached_facts("bad") is None


@pytest.mark.parametrize("content", ["", "[]", "{", json.dumps({"another": 1})])
def test_a_damaged_cache_is_ignored(tmp_path, content):
    write_cached_facts("digest", ImageFacts())
    (file,) = (tmp_path / "cache" / "checked").glob("digest-*.json")
    file.write_text(content)
    assert read_cached_facts("digest") is None


def test_of_very_many_problems_the_first_and_the_number_are_listed():
    good = [OneImage(f"good{i}", size="2 x 2") for i in range(400)]
    odd = [OneImage(f"odd{i}", size="3 x 2") for i in range(300)]
    problems = collect_facts([*good, *odd, OneImage("bad", "torn")], 400).all_problems()
    assert len(problems) == MOST_PROBLEMS + 1
    assert problems[:2] == [
        "bad: torn",
        "odd0: the image has 3 x 2 pixels, 400 of 701 images have 2 x 2; resize it",
    ]
    assert problems[-1] == "and 101 more images"


def test_notes_state_what_a_reader_may_not_expect():
    image = OneImage(
        "a", size="1 x 1", grey=True, rotated=True, transparent=True, deep=True, animated=True, content="x"
    )
    facts = collect_facts([image, OneImage("b", size="1 x 1"), replace(image, grey=False)], 2)
    assert facts.notes(upright=True) == (
        "1 image without colour among 3, read as colour like the others",
        "2 images with a rotation in EXIF data, which is applied, as Hugging Face datasets does",
        "2 images with transparent pixels, whose hidden colours are used, as torchvision does",
        "2 images with 16 bits a channel, of which the upper 8 are used, as Pillow does",
        "2 images with several frames, of which the first is used",
        "1 image of the test split with the same bytes as a training image",
    )
    assert facts.notes(upright=False)[1].endswith("ignored, as torchvision does")
    assert collect_facts([image], 1).notes(upright=True)[0].startswith("1 image with a rotation")

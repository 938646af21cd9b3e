import pytest

from data.sources.split_names import split_in


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("instances_train2017", "train"),
        ("Val", "validation"),
        ("my-test.set", "test"),
        ("constraint", None),
        ("train_val", None),
        ("_annotations.coco", None),
    ],
)
def test_a_word_names_a_split(name, split):
    assert split_in(name) == split

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import UserError
from data.sources.listing import Entry, compare, fingerprint, listed, scan, unused
from tests.photo_folder import write

ENTRIES = st.lists(
    st.builds(Entry, st.text("abc/.", min_size=1, max_size=8), st.integers(0, 9), st.integers(0, 9)),
    unique_by=lambda entry: entry.path,
    max_size=8,
)


@given(ENTRIES, st.randoms())
def test_fingerprint_does_not_depend_on_order(entries, random):
    shuffled = entries[:]
    random.shuffle(shuffled)
    assert fingerprint(shuffled) == fingerprint(entries)


@given(ENTRIES, ENTRIES)
def test_fingerprints_differ_exactly_when_something_changed(old, new):
    assert (compare(old, new) is None) == (fingerprint(old) == fingerprint(new))


def test_changes_are_named(tmp_path):
    for name in ("a/1.png", "a/2.png", "a/3.png"):
        write(tmp_path / name, b"x")
    old = scan(tmp_path)
    write(tmp_path / "b/4.jpg", b"x")
    (tmp_path / "a/1.png").unlink()
    os.utime(tmp_path / "a/2.png", ns=(0, 0))
    assert str(compare(old, scan(tmp_path))) == (
        "1 added (first: b/4.jpg); 1 removed (first: a/1.png); 1 changed (first: a/2.png)"
    )


def test_only_images_and_metadata_are_listed(tmp_path):
    for name in ("a/1.PNG", "a/.hidden.png", ".git/2.png", "README.txt", "metadata.jsonl", "photo"):
        write(tmp_path / name, b"x")
    assert [entry.path for entry in scan(tmp_path)] == ["a/1.PNG", "metadata.jsonl", "photo"]


def test_files_are_in_the_order_of_their_paths(tmp_path):
    for name in ("a/1.png", "a-b/1.png", "a.png", "a0/1.png", "a/b/2.png", "a/b.png"):
        write(tmp_path / name, b"x")
    write(tmp_path / "a+c.json", b"x")
    paths = [entry.path for entry in scan(tmp_path, [tmp_path / "a+c.json"])]
    assert paths == sorted(paths) and len(paths) == 7


def test_links_are_followed_but_not_in_circles(tmp_path):
    write(tmp_path / "a/1.png", b"xyz")
    (tmp_path / "a/loop").symlink_to(tmp_path / "a")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "a/gone.png").symlink_to(tmp_path / "nowhere.png")
    found = {entry.path: entry.size for entry in scan(tmp_path)}
    assert set(found) == {"a/1.png", "a/gone.png", "b/1.png", "b/gone.png"} and found["b/1.png"] == 3


def test_names_that_are_no_utf8(tmp_path):
    write(tmp_path / os.fsdecode(b"a/\xff.png"), b"x")
    (entry,) = scan(tmp_path)
    assert len(fingerprint([entry])) == 64 and str(compare([], [entry])) == "1 added (first: a/\\xff.png)"


def test_no_folder(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        scan(tmp_path / "nowhere")


def test_files_that_are_not_used_are_counted_by_what_they_are(tmp_path):
    for name in ("1.jpg", "2.heif", "x/3.HEIF", "4", "5.avif", "metadata.csv", ".hidden", "6.jpg"):
        write(tmp_path / name, b"x")
    left = unused(tmp_path, ["1.jpg"])
    assert left == {".heif": 2, ".avif": 1, ".jpg that nothing lists": 1, "without an ending": 1}
    assert listed(left) == "5 left out: 2 .heif, 1 .avif, 1 .jpg that nothing lists, 1 without an ending"

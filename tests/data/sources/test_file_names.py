from data.sources.file_names import FileNames


def test_the_nearest_name_has_another_ending_or_a_letter_or_so_apart(tmp_path):
    there = FileNames(tmp_path, ["x/IMG_0001.png", "x/IMG_0002.JPG", "cat.png"])
    assert there.nearest("img_0002.png") == "x/IMG_0002.JPG"
    assert there.nearest("y/IMG_001.png") == "x/IMG_0001.png"
    assert there.nearest("zebra.tiff") is None


def test_many_missing_files_are_not_compared_with_all(tmp_path):
    there = FileNames(tmp_path, [f"{number}.png" for number in range(1000)])
    found = [there.nearest(f"{number}x.png") for number in range(1000)]
    assert found[7] == "7.png" and found[-1] is None

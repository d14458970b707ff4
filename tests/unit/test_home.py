"""A home says which layout it has."""

from pathlib import Path

import pytest

from mlb_platform.home import LAYOUT, MARKER, HomeError, check_home


def test_a_new_home_is_marked_and_taken_again(tmp_path: Path) -> None:
    home = tmp_path / "home"
    check_home(home)
    check_home(home)
    assert (home / MARKER).read_text().strip() == str(LAYOUT)


def test_a_home_of_another_layout_is_refused_with_both_numbers(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text("99\n")
    with pytest.raises(HomeError, match=f"layout 99, this version needs {LAYOUT}"):
        check_home(tmp_path)


def test_a_home_that_is_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="cannot be used") as told:
        check_home(tmp_path / "file" / "home")
    assert "\n" not in str(told.value)

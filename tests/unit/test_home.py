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


def test_a_home_whose_first_command_is_killed_is_a_new_one_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended between writing and naming the marker, or by a full disk: there is none, not an empty one."""
    with monkeypatch.context() as killed:
        killed.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(HomeError, match="No space left"):
            check_home(tmp_path)
    assert not (tmp_path / MARKER).exists()
    check_home(tmp_path)

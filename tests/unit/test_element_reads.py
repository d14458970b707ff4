"""What rows of an entity are made of: its element alone, or more, and then nothing is said of what it tells."""

from __future__ import annotations

from folding_model import PARTS
from helpers import mapping_of

from mlb_platform.mapping.element import element_reads

LABEL = "- {name: label, type: VARCHAR(5), json_path: $.label, description: Label.}"


def test_the_parts_that_are_read_are_kept_and_others_left_out() -> None:
    """At every depth; a value of another kind than expected is kept, for it makes another row."""
    reads = element_reads(mapping_of(PARTS))
    assert reads is not None
    element = {"id": 1, "label": "a", "more": 1, "pieces": [{"n": 1, "size": 2, "more": 3}, "no piece"]}
    assert reads.of(element) == {"id": 1, "label": "a", "pieces": [{"n": 1, "size": 2}, "no piece"]}
    assert reads.of({"id": 1, "label": None, "pieces": 5}) == {"id": 1, "label": None, "pieces": 5}
    assert reads.of("no element") == "no element"


def test_a_mapping_that_reads_other_parts_has_another_fingerprint() -> None:
    """A column more or elsewhere is another one; a description or a type is not."""

    def fingerprint(text: str) -> str:
        reads = element_reads(mapping_of(text))
        assert reads is not None
        return reads.fingerprint

    moved = PARTS.replace("$.label", "$.name")
    more = PARTS.replace(LABEL, f"{LABEL}\n      {LABEL.replace('label', 'other')}")
    same = PARTS.replace("description: Label.", "description: Its label.").replace("VARCHAR(5)", "VARCHAR(9)")
    assert len({fingerprint(PARTS), fingerprint(moved), fingerprint(more)}) == 3
    assert fingerprint(same) == fingerprint(PARTS)


def test_rows_that_need_more_than_their_element_are_known() -> None:
    """The document, the element around, the place among the others; a place within the element is its own."""
    piece = "json_path: $.size"
    assert element_reads(mapping_of(PARTS.replace(piece, "json_path: $position"))) is not None
    assert element_reads(mapping_of(PARTS.replace(piece, "json_path: parent.label"))) is not None
    for path in ("$document.season", "parent.parent.season", "parent.$position"):
        assert element_reads(mapping_of(PARTS.replace(piece, f"json_path: {path}"))) is None, path
    for path in ("$document.season", "parent.season", "$position"):
        assert element_reads(mapping_of(PARTS.replace("$.label", path))) is None, path

"""The tour in docs/tour, run as a reader pastes it: blocks, outputs, pictures, quotations."""

import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOUR = ROOT / "docs" / "tour"


def place_of(chapter):
    """The number before its name: 10-the-gradient stands behind 9-by-hand."""
    return int(chapter.name.split("-")[0])


PAGES = [TOUR / "index.md", *sorted(TOUR.glob("[0-9]*.md"), key=place_of)]
CHAPTERS = PAGES[1:]
# The file that a chapter is about; of all others it is the forward pass.
FILES = {
    "10-the-gradient": "minibert/bert/backward.py",
    "11-train-a-bert": "minibert/kernels/cpu_updates.py",
}
NUMBER = re.compile(r"\d+(?:\.\d+)?")


@pytest.fixture
def make_pictures(monkeypatch):
    """tools/make_pictures.py, imported as it is when it runs."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import make_pictures

    return make_pictures


def read(page):
    return page.read_text(encoding="utf-8")


def each(pages):
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.stem)


def assert_same_picture(made, kept):
    """The same but for the last digits, which a machine's BLAS may round otherwise."""
    assert NUMBER.split(made) == NUMBER.split(kept)
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (made, kept)]
    assert numbers[0] == pytest.approx(numbers[1], abs=2e-3)


@pytest.mark.slow
@each(PAGES)
def test_every_block_prints_and_draws_what_the_page_shows(
    page, make_pictures, minilm_folder, tmp_path, no_network
):
    ran = 0
    for block, shown, printed in make_pictures.run(read(page), tmp_path):
        assert printed == (shown.text if shown else ""), block.text
        ran += 1
    assert ran == len(re.findall(r"^```python$", read(page), re.MULTILINE)) > 0
    drawn = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.svg")}
    assert set(drawn) == set(re.findall(r"\]\(pictures/([^)]+)\)", read(page)))
    for name, picture in drawn.items():
        assert_same_picture(picture, read(TOUR / "pictures" / name))


def test_every_chapter_has_a_picture_and_no_picture_is_left_over(make_pictures):
    picture = re.compile(r"^!\[[^\]]+\]\(pictures/([^)]+)\)$", re.MULTILINE)
    shown = [picture.findall(read(page)) for page in CHAPTERS]
    assert all(shown)
    kept = sorted(path.name for path in make_pictures.PICTURES.iterdir())
    assert kept == sorted(name for names in shown for name in names)


@each(CHAPTERS)
def test_a_chapter_quotes_lines_of_its_file_that_are_there(page, make_pictures):
    quotations = [block for block in make_pictures.blocks_of(read(page)) if block.title]
    file = FILES.get(page.stem, "minibert/bert/forward.py")
    assert file in {block.title for block in quotations}
    for block in quotations:
        source = "\n" + read(ROOT / block.title)
        shifts = [textwrap.indent(block.text, " " * indent) for indent in (0, 4, 8)]
        assert any("\n" + lines in source for lines in shifts), f"{block.title} has no such lines"


def test_the_tour_begins_with_the_readme_s_command(make_pictures):
    (commands,) = [block.text for block in make_pictures.blocks_of(read(TOUR / "index.md"))
                   if block.language == "sh"]  # fmt: skip
    install, start = commands.splitlines()
    readme = "".join(block.text for block in make_pictures.blocks_of(read(ROOT / "README.md")))
    assert install in [line.split("  ")[0] for line in readme.splitlines()]
    assert start == ".venv/bin/python"  # tools/demo.sh makes it


def test_every_page_leads_to_the_next():
    for page, following in zip(PAGES, CHAPTERS, strict=False):
        title = read(following).splitlines()[0].split(". ", 1)[1].split(",")[0]
        assert read(page).endswith(f"\nNext: [{title}]({following.name})\n")
    listed = re.findall(r"^\| (\d+) \| \[[^\]]+\]\(([^)]+)\)", read(PAGES[0]), re.MULTILINE)
    assert listed == [(str(place_of(page)), page.name) for page in CHAPTERS]
    assert [place_of(page) for page in CHAPTERS] == list(range(1, len(CHAPTERS) + 1))


def test_the_model_by_hand_is_short_and_imports_no_minibert(make_pictures):
    by_hand, comparison, *_ = [
        block.text
        for block in make_pictures.blocks_of(read(TOUR / "9-by-hand.md"))
        if block.is_program
    ]
    assert len(by_hand.splitlines()) < 150
    assert "minibert" not in by_hand
    assert "assert difference <= 1e-6" in comparison


def test_the_way_back_by_hand_is_short_and_compared_twice(make_pictures):
    page = read(TOUR / "10-the-gradient.md")
    programs = [block.text for block in make_pictures.blocks_of(page) if block.is_program]
    lines = [line for text in programs if "    def back(" in text for line in text.splitlines()]
    assert len([line for line in lines if line]) < 130  # both ways
    assert not any("minibert" in line for line in lines)
    (with_the_library,) = [text for text in programs if "model.trainable(" in text]
    assert "assert theirs.keys() == gradients.keys()" in with_the_library
    assert "assert difference < 1e-4 * np.abs(gradient).max() + 1e-7" in with_the_library
    (with_a_nudge,) = [text for text in programs if "assert abs(slope - nudged) < 1e-6" in text]
    assert '"embeddings", *(f"encoder.layer.{number}" for number in range(6))' in with_a_nudge

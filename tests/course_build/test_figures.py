"""A picture that stands by itself is a figure of the size of its file."""

import struct

import pytest
from course.markdown import markdown_instance
from course_build import figures
from course_build.figures import size_of

PICTURE = "![It falls](../assets/pictures/falls.svg)"


@pytest.fixture
def render(tmp_path, monkeypatch):
    """Render Markdown in a project that has one picture."""
    folder = tmp_path / "docs" / "assets" / "pictures"
    folder.mkdir(parents=True)
    (folder / "falls.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 120.4"/>')
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    return markdown_instance().convert


def png(width, height, dots_per_metre=None):
    density = b"pHYs" + struct.pack(">II", dots_per_metre, dots_per_metre) if dots_per_metre else b""
    return bytes(16) + struct.pack(">II", width, height) + density


def test_a_drawing_keeps_its_inches(tmp_path):
    file = tmp_path / "figure.png"
    file.write_bytes(png(1000, 600, dots_per_metre=7874))  # 200 dots an inch, so 5 inches by 3
    assert size_of(file) == (600, 360)
    file.write_bytes(png(1000, 600))
    assert size_of(file) == (1000, 600)


def test_a_picture_by_itself_has_its_size_and_its_caption(render):
    html = render(f"{PICTURE}\n\n*It falls.*")
    assert '<figure><img width="300" height="120" loading="lazy"' in html
    assert "<figcaption>It falls.</figcaption></figure>" in html


def test_a_picture_in_a_sentence_is_no_figure(render):
    assert "<figure>" not in render(f"Look: {PICTURE}")


def test_a_paragraph_after_a_picture_is_no_caption(render):
    html = render(f"{PICTURE}\n\nSome *words*.")
    assert "<figcaption>" not in html and "<p>Some <em>words</em>.</p>" in html

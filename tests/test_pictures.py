"""What a picture may not be is noticed, with its file and line."""

import io

import PIL.Image
import pytest

from tests.verify.checks import pictures

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 1 1">\n{}\n</svg>'
)


def said(folder, monkeypatch, name, data):
    """Return what is said of a picture."""
    monkeypatch.setattr(pictures, "ROOT", folder)
    (folder / "docs").mkdir()
    (folder / "docs" / name).write_bytes(data)
    return [str(problem) for problem in pictures.picture_problems()]


def painted(kind, size=(2, 2)):
    data = io.BytesIO()
    PIL.Image.new("RGB", size).save(data, kind)
    return data.getvalue()


@pytest.mark.parametrize(
    "drawn",
    [
        "<script>1</script>",
        "<SCRIPT>1</SCRIPT>",
        "<foreignObject/>",
        '<image href="https://example.org/x.png"/>',
        '<image href="x.png"/>',
        '<path onload="x()"/>',
        '<path OnClick="x()"/>',
        '<use href="https://example.org/x.svg#a"/>',
        '<use xlink:href="other.svg#a"/>',
        '<a href="javascript:x()"><path/></a>',
        '<path fill="url(https://example.org/x#a)"/>',
        '<path style="fill: url( //example.org)"/>',
        '<style>@import "x.css";</style>',
        "<style>path { fill: u\\72l(x) }</style>",
        '<style>path { fill: url("x.svg") }</style>',
        '<set attributeName="href" to="x"/>',
        '<script xmlns="http://www.w3.org/1999/xhtml">1</script>',
        '<?xml-stylesheet href="x.css"?>',
        "<path>",
    ],
)
def test_a_drawing_only_draws(drawn, tmp_path, monkeypatch):
    (message,) = said(tmp_path, monkeypatch, "x.svg", SVG.format(drawn).encode())
    assert message.startswith(("docs/x.svg:2: a drawing", "docs/x.svg:3: the picture cannot be read"))


def test_a_drawing_has_no_entities(tmp_path, monkeypatch):
    text = '<!DOCTYPE svg [<!ENTITY e SYSTEM "file:///etc/hostname">]>' + SVG.format("<text>&e;</text>")
    assert "docs/x.svg:1: a drawing has no <!DOCTYPE>" in said(tmp_path, monkeypatch, "x.svg", text.encode())[0]


def test_what_a_drawing_needs_is_right(tmp_path, monkeypatch):
    drawn = (
        '<!-- a --><defs><marker id="a"/></defs><use href="#a"/><path fill="url(#a)"/><style>a{fill:url(#a)}</style>'
    )
    assert said(tmp_path, monkeypatch, "x.svg", SVG.format(drawn).encode()) == []


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.png", painted("JPEG"), "the picture is a JPEG and called .png"),
        ("x.jpg", painted("JPEG"), "the picture is a JPEG and called .jpg"),
        ("x.PNG", painted("PNG"), "the picture is a PNG and called .PNG"),
        ("x.svg", painted("PNG"), "the picture cannot be read"),
        ("x.png", SVG.encode(), "the picture cannot be read"),
        ("x.png", painted("PNG", (900, 900))[:1000], "the picture cannot be read"),
        ("x.png", b"", "the picture cannot be read"),
        ("x.png", painted("PNG", (5000, 2)), "the picture is 5000 pixels wide"),
        ("x.png", painted("PNG") + bytes(400_000), "the picture has 400 kB"),
        ("x.svg", SVG.format(" " * 500_000).encode(), "the picture has 500 kB"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_picture_is_small_and_what_its_name_says(name, data, message, tmp_path, monkeypatch):
    (first,) = said(tmp_path, monkeypatch, name, data)
    assert first.startswith(f"docs/{name}:") and message in first


def test_a_picture_is_right(tmp_path, monkeypatch):
    assert said(tmp_path, monkeypatch, "x.png", painted("PNG")) == []

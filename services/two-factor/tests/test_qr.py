import re

import zxingcpp
from PIL import Image, ImageDraw
from two_factor.qr import as_svg
from two_factor.totp import new_seed, otpauth_uri

_SCALE = 8


def painted(svg: str) -> Image.Image:
    """Paint the one path of lines that the code is drawn with, one row of modules a line."""
    size = re.search(r'viewBox="0 0 (\d+)', svg)
    path = re.search(r'class="qrline"[^>]* d="([^"]+)"', svg)
    assert size is not None
    assert path is not None
    image = Image.new("L", (int(size[1]) * _SCALE,) * 2, 255)
    draw = ImageDraw.Draw(image)
    x = y = 0.0
    for command, numbers in re.findall(r"([Mmh])([-\d. ]+)", path[1]):
        values = [float(number) for number in numbers.split()]
        if command == "h":
            box = (x * _SCALE, (y - 0.5) * _SCALE, (x + values[0]) * _SCALE - 1, (y + 0.5) * _SCALE - 1)
            draw.rectangle(box, fill=0)
            x += values[0]
        else:
            x, y = (values[0], values[1]) if command == "M" else (x + values[0], y + values[1])
    return image


def test_a_decoder_reads_the_uri_back() -> None:
    uri = otpauth_uri(new_seed(), issuer="Fountain & Söhne", username="ada@example.org")
    (found,) = zxingcpp.read_barcodes(painted(as_svg(uri)))
    assert found.text == uri


def test_the_image_is_no_script_and_has_its_own_background() -> None:
    svg = as_svg("otpauth://totp/<script>?secret=A")
    assert "<script" not in svg
    assert 'fill="#fff"' in svg

"""The QR code of a key URI, as SVG."""

import io

import segno


def as_svg(uri: str) -> str:
    """Draw `uri` with the quiet zone that the standard asks for (ISO/IEC 18004); it scales with its box.

    The background is drawn as well, so that the code stays readable on a dark page.
    """
    drawn = io.BytesIO()
    code = segno.make(uri, error="m", micro=False)
    code.save(drawn, kind="svg", xmldecl=False, omitsize=True, border=4, light="#fff")
    return drawn.getvalue().decode()

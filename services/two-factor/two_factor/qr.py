"""The QR code of a key URI, as SVG."""

import io

import segno


def as_svg(uri: str) -> str:
    """Draw `uri` with the quiet zone that the standard asks for (ISO/IEC 18004); scales with its box."""
    drawn = io.BytesIO()
    segno.make(uri, error="m", micro=False).save(
        drawn, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=4
    )
    return drawn.getvalue().decode()

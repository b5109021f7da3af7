"""Writes what every image is made of: `make sbom`.

python scripts/sbom.py [--to FOLDER] [IMAGE...]

One CycloneDX document (1.6, JSON) an image, checked against its schema. Without names: the images of
`compose.yaml`, which `make up` builds. The same image gives the same document.
"""

import argparse
import subprocess
import sys
import uuid
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from image_layers import Image, saved
from image_packages import Package, packages
from licences import UNKNOWN
from packageurl import PackageURL

_ROOT = Path(__file__).resolve().parent.parent
_SCHEMA = SchemaVersion.V1_6
_NAMESPACE = uuid.UUID("6c1ba3f0-6f1a-4d6e-9a53-0d5c2f6a7c11")
"""Makes a document's serial number from the image's digest."""


def document(image: Image, found: list[Package]) -> str:
    """Return the document of an image.

    Raises:
        ValueError: it does not keep its schema.
    """
    name = image.names[0] if image.names else image.digest
    itself = Component(
        name=name.partition(":")[0],
        version=f"sha256:{image.digest}",
        type=ComponentType.CONTAINER,
        bom_ref=image.digest,
    )
    parts = [_component(package) for package in found]
    metadata = BomMetaData(
        component=itself,
        timestamp=datetime.fromisoformat(image.config["created"]),
        tools=ToolRepository(
            components=[
                Component(
                    name="cyclonedx-python-lib",
                    version=version("cyclonedx-python-lib"),
                    type=ComponentType.LIBRARY,
                )
            ]
        ),
    )
    bom = Bom(metadata=metadata, components=parts, serial_number=uuid.uuid5(_NAMESPACE, image.digest))
    bom.register_dependency(itself, parts)
    text = make_outputter(bom, OutputFormat.JSON, _SCHEMA).output_as_string(indent=2)
    if wrong := JsonStrictValidator(_SCHEMA).validate_str(text):
        raise ValueError(f"The document of {name} does not keep its schema: {wrong}")
    return text + "\n"


def _component(package: Package) -> Component:
    purl = _purl(package)
    licences = [LicenseExpression(package.licence)] if package.licence not in ("", UNKNOWN) else None
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=str(purl),
        licenses=licences,
    )


def _purl(package: Package) -> PackageURL:
    details = dict(package.details)
    if package.kind in ("deb", "apk"):
        usual = "debian" if package.kind == "deb" else "alpine"
        vendor = details.get("distro", "").partition("-")[0] or usual
        return PackageURL(package.kind, vendor, package.name, package.version, details)
    folder, _, name = package.name.rpartition("/")
    return PackageURL(package.kind, folder or None, name, package.version, details)


def compose_images() -> list[str]:
    """Return the images of `compose.yaml`."""
    command = ["docker", "compose", "--file", "compose.yaml", "config", "--images"]
    listed = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True).stdout
    return sorted(set(listed.split()))


def main() -> int:
    """Write the documents; 1 if an image is not there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="*", help="those of compose.yaml if none is named")
    parser.add_argument("--to", type=Path, default=_ROOT / "build" / "sbom", help="a folder")
    wanted = parser.parse_args()
    names = wanted.images or compose_images()
    wanted.to.mkdir(parents=True, exist_ok=True)
    try:
        with saved(names) as archive:
            for image in archive.images():
                found = packages(archive, image)
                # A name that is a file's name too; an image that was named by its id alone has no other.
                stem = (image.names or (image.digest,))[0].replace("/", "_").partition(":")[0]
                path = wanted.to / f"{stem}.cdx.json"
                path.write_text(document(image, found))
                print(f"  {len(found):4} parts  {path}")
    except subprocess.CalledProcessError:
        print("An image is not there, or no Docker engine answers: `make up` builds them.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

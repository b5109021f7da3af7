"""The service as it runs, in a world without network: tokens are signed here, and peers are not there."""

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

# `main` makes its application when it is imported.
os.environ["FOUNTAIN_DATA_DIR"] = tempfile.mkdtemp(prefix="notification-test-")

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("full_disk.py")
MOUNT = ("unshare", "--map-root-user", "--mount", "sh", "-c")
SMALL = 'mount -t tmpfs -o size=4m small "$1" && shift && exec "$@"'


def mounts_are_allowed(folder: Path) -> bool:
    try:
        command = [*MOUNT, SMALL, "sh", str(folder), "true"]
        return subprocess.run(command, check=False, capture_output=True, timeout=10).returncode == 0
    except FileNotFoundError:
        return False


def test_on_a_full_disk_what_was_acknowledged_stays_health_says_so_and_room_is_all_it_needs(
    tmp_path: Path,
) -> None:
    if not mounts_are_allowed(tmp_path):
        pytest.skip("this machine lets nobody mount a small disk of his own")
    command = [*MOUNT, SMALL, "sh", str(tmp_path), sys.executable, str(SCRIPT), str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "well_before": True,
        "refused": True,
        "kept_while_full": True,
        "reason": "No space left on device",
        "well_while_full": False,
        "well_with_room": True,
        "writes_with_room": True,
        "kept_in_the_end": True,
        "whole": True,
    }

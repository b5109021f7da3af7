"""What a service does not load."""

import subprocess
import sys


def test_a_service_that_logs_has_loaded_nothing_for_a_terminal_and_others_still_can() -> None:
    code = (
        "import sys, fountain_common.logging\n"
        "assert not {'rich', 'colorama'} & sys.modules.keys(), 'loaded'\n"
        "import rich.table\n"
        "print('fine')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "fine\n", done.stderr

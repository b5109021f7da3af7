"""The server of every service, without what none of them needs."""

import subprocess
import sys


def test_the_server_is_uvicorns_own_and_watches_no_files() -> None:
    code = (
        "import sys\n"
        "from fountain_common.lean_server import HttpToolsProtocol, uvicorn\n"
        "from uvicorn.protocols.http import httptools_impl\n"
        "print(uvicorn.Server.__module__, HttpToolsProtocol is httptools_impl.HttpToolsProtocol)\n"
        "print('watchfiles' in sys.modules)\n"
        "import watchfiles\n"
        "print('fine')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["uvicorn.server True", "False", "fine"], done.stderr

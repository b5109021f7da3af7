"""Says whether the migrations of every service lead to its models: `python scripts/check_migrations.py`.

Each service is looked at in a process of its own, since several have a module of the same name.
"""

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_LOOK = """
import sys, tempfile
from importlib import import_module
from pathlib import Path
from sqlalchemy import create_engine
from fountain_common.migrations import differences, upgrade

package, scripts = sys.argv[1], Path(sys.argv[2])
models = import_module(f"{package}.models")
metadata = models.metadata if hasattr(models, "metadata") else models.Base.metadata
with tempfile.TemporaryDirectory() as folder:
    engine = create_engine(f"sqlite:///{folder}/check.db")
    upgrade(engine, scripts)
    found = differences(engine, metadata)
    engine.dispose()
for one in found:
    print(one)
sys.exit(bool(found))
"""


def main() -> int:
    """Look at every service; 1 if the models of one have changed without a migration."""
    failed = 0
    for scripts in sorted(_ROOT.glob("services/*/*/migrations")):
        service, package = scripts.parent.parent, scripts.parent.name
        environment = {**os.environ, "PYTHONPATH": f"{_ROOT / 'shared'}:{service}"}
        command = [sys.executable, "-c", _LOOK, package, str(scripts)]
        done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True)
        if done.returncode:
            failed = 1
            print(f"{service.name}: its migrations do not lead to its models.\n{done.stdout}{done.stderr}")
    return failed


if __name__ == "__main__":
    raise SystemExit(main())

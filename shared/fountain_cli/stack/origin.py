"""Whose a Compose project is: Docker knows it by its name alone, and every clone would take the same one.

Containers say by a label from which folder they were started. Volumes do not, and outlive them; a label on
them could never be changed where a clone is moved. So beside them lies an empty one, the mark, whose label
names the folder. A project without a mark, from before there were any, belongs to its containers' folder, or
to whoever starts it next.
"""

import json
import os
import subprocess
from pathlib import Path

from fountain_cli.stack.face import Foreign, StackError

_PROJECT = "com.docker.compose.project"
_CONTAINERS_FOLDER = "com.docker.compose.project.working_dir"
_FOLDER = "fountain.folder"


class Origin:
    """The clone to which the containers and volumes of a project belong.

    Args:
        project: the Compose project's name.
        root: the folder of this clone.
    """

    def __init__(self, project: str, root: Path) -> None:
        self.project, self.root = project, root
        self._mark = f"{project}_folder"

    def require_own(self) -> Path | None:
        """Return if the project is this clone's, or nobody's.

        Answers the folder of a clone that is no more, whose project this one goes on with; else None.

        Raises:
            Foreign: it belongs to a clone in another folder.
        """
        gone = None
        for folder in self._folders():
            if _is(folder, self.root):
                continue
            if _is_there(folder):
                raise Foreign(self.project, folder)
            gone = folder
        return gone

    def claim(self) -> None:
        """Mark the project as this clone's."""
        if self._marked() == self.root:
            return
        self.renounce()  # a volume's labels never change
        _docker(
            "volume", "create", "--label", f"{_PROJECT}={self.project}", "--label", f"{_FOLDER}={self.root}",
            self._mark,
        )  # fmt: skip

    def renounce(self) -> None:
        """Take the mark away: nothing is left that could be anybody's."""
        _docker("volume", "rm", "--force", self._mark)

    def _folders(self) -> list[Path]:
        """Answer the folders that something of the project names."""
        listed = _docker(
            "ps", "--all", f"--filter=label={_PROJECT}={self.project}",
            "--format", f'{{{{.Label "{_CONTAINERS_FOLDER}"}}}}',
        )  # fmt: skip
        found = [Path(line) for line in listed.splitlines() if line]
        if found or self._has_volumes():
            marked = self._marked()
            found += [marked] if marked else []
        return list(dict.fromkeys(found))

    def _has_volumes(self) -> bool:
        names = _docker("volume", "ls", "--quiet", f"--filter=label={_PROJECT}={self.project}").split()
        return bool({*names} - {self._mark})

    def _marked(self) -> Path | None:
        """Answer the folder that the mark names; None without one."""
        if self._mark not in _docker("volume", "ls", "--quiet", f"--filter=label={_FOLDER}").split():
            return None
        inspected = json.loads(_docker("volume", "inspect", self._mark))
        return Path(inspected[0]["Labels"][_FOLDER])


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], check=False, capture_output=True, text=True)  # noqa: S603, S607
    if done.returncode:
        raise StackError(f"`docker {' '.join(arguments[:2])}` failed.\n{done.stderr}".rstrip())
    return done.stdout


def _is(folder: Path, root: Path) -> bool:
    """Say whether both are one folder, by whichever way it is reached."""
    try:
        return folder == root or folder.samefile(root)
    except OSError:
        return False


def _is_there(folder: Path) -> bool:
    """Say whether there may be a clone in such a folder: one that may not be looked at counts as one.

    The folder alone is none: Docker makes those again from which it mounted something.
    """
    try:
        os.stat(folder / "compose.yaml")
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True

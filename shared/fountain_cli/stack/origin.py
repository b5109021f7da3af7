"""Whose a Compose project is: Docker knows it by its name alone, and every clone would take the same one.

Containers say by a label from which folder they were started. Volumes do not, and outlive them; a label on
them could never be changed where a clone is moved. So beside them lies an empty one, the mark, whose labels
name the folder, and by a random id the clone: machines that share an engine may have folders of one name.
A project without a mark, from before there were any, belongs to its containers' folder, or to whoever starts
it next.
"""

import json
import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fountain_cli.stack.face import Foreign, StackError

_PROJECT = "com.docker.compose.project"
_CONTAINERS_FOLDER = "com.docker.compose.project.working_dir"
_FOLDER, _CLONE = "fountain.folder", "fountain.clone"


@dataclass(frozen=True)
class _Mark:
    """Whose a project is: the clone's folder, and its id, empty in a mark from before there were any."""

    folder: Path
    clone: str


class Origin:
    """The clone to which the containers and volumes of a project belong.

    Args:
        project: the Compose project's name.
        root: the folder of this clone.
        id_file: where the id of this clone is kept; it is made with the first claim.
    """

    def __init__(self, project: str, root: Path, id_file: Path) -> None:
        self.project, self.root = project, root
        self._volume, self._id_file = f"{project}_folder", id_file

    def require_own(self) -> str | None:
        """Return if the project is this clone's, or nobody's, or of one that cannot be seen from here.

        Answers which that is, in words, since this one may go on with its project; else None.

        Raises:
            Foreign: it belongs to a clone in another folder.
        """
        lost, mark = None, self._mark()
        for folder in self._folders(mark):
            if _is(folder, self.root):
                continue
            if _is_there(folder):
                raise Foreign(self.project, folder)
            lost = f"the clone in {folder}, which is not there any more"
        if lost is None and mark and not self._is_mine(mark):
            lost = f"a clone in {mark.folder} of another machine, or of before {self._id_file} was removed"
        return lost

    def claim(self) -> None:
        """Mark the project as this clone's.

        Raises:
            Foreign: another clone, which can be seen from here, was quicker.
        """
        clone = self._own_id(make=True) or ""
        for last in (False, True):
            # Where there is one, it stays as it is, and nothing is said: only reading it tells whose it is.
            _docker(
                "volume", "create", "--label", f"{_PROJECT}={self.project}",
                "--label", f"{_FOLDER}={self.root}", "--label", f"{_CLONE}={clone}", self._volume,
            )  # fmt: skip
            mark = self._read_mark()
            here = _is(mark.folder, self.root)
            if here and self._is_mine(mark) and (mark.clone or not clone):
                return
            if last or (not here and _is_there(mark.folder)):
                raise Foreign(self.project, mark.folder)
            self.renounce()  # a volume's labels never change

    def renounce(self) -> None:
        """Take the mark away: nothing is left that could be anybody's."""
        _docker("volume", "rm", "--force", self._volume)

    def _folders(self, mark: _Mark | None) -> list[Path]:
        """Return the folders that something of the project names."""
        listed = _docker(
            "ps", "--all", f"--filter=label={_PROJECT}={self.project}",
            "--format", f'{{{{.Label "{_CONTAINERS_FOLDER}"}}}}',
        )  # fmt: skip
        found = [Path(line) for line in listed.splitlines() if line]
        return list(dict.fromkeys(found + ([mark.folder] if mark else [])))

    def _mark(self) -> _Mark | None:
        if self._volume not in _docker("volume", "ls", "--quiet", f"--filter=label={_FOLDER}").split():
            return None
        return self._read_mark()

    def _read_mark(self) -> _Mark:
        labels = json.loads(_docker("volume", "inspect", self._volume))[0]["Labels"] or {}
        return _Mark(Path(labels.get(_FOLDER, self.root)), labels.get(_CLONE, ""))

    def _is_mine(self, mark: _Mark) -> bool:
        """Say whether a mark with this clone's folder is its own; the folder suffices if the id is hidden."""
        own = self._own_id()
        return own is None or mark.clone in ("", own)

    def _own_id(self, *, make: bool = False) -> str | None:
        """Return the id of this clone, empty if it has none; None if that cannot be told."""
        try:
            if make and not self._id_file.exists():
                self._id_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                fresh = self._id_file.with_suffix(f".{os.getpid()}")
                fresh.write_text(secrets.token_hex(16))
                try:
                    os.link(fresh, self._id_file)
                except FileExistsError:  # another command was quicker
                    pass
                except OSError:  # there are no hard links on this disk
                    fresh.replace(self._id_file)
                finally:
                    fresh.unlink(missing_ok=True)
            return self._id_file.read_text()
        except FileNotFoundError:
            return ""
        except OSError:
            return None


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

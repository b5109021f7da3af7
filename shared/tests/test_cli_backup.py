"""A backup on its way: under its name only when all of it is there, and a clear word where it is not."""

import hashlib
import io
import os
import pty
import resource
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fountain_cli.exits import CONFLICT, INTERRUPTED, REFUSED, USAGE, CommandError
from fountain_cli.passphrase import passphrase
from fountain_cli.stack import Errand
from fountain_cli.transfer import bring, fetch

PASSPHRASE = "correct horse battery staple"
CONTENT = b"sealed" * 500_000
REPORT = '{"stores": ["notification"], "bytes": %d, "sha256": "%s"}'
WHOLE = REPORT % (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


def program(body: str) -> Errand:
    """A program in the place of the one beside the database."""
    head = "import sys\nout, say = sys.stdout.buffer, sys.stderr.write\n"
    return Errand((sys.executable, "-c", head + body), Path.cwd(), dict(os.environ))


def sending(report: str) -> Errand:
    """It reads the passphrase, sends the content, and reports."""
    body = f"assert sys.stdin.readline() == {PASSPHRASE + chr(10)!r}\n"
    body += f"out.write(b'sealed' * 500_000); out.flush(); say('a warning\\n'); say({report!r} + '\\n')"
    return program(body)


def test_what_is_fetched_is_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    seen: list[int] = []
    report = fetch(sending(WHOLE), PASSPHRASE, tmp_path / "b", seen.append)
    assert report["stores"] == ["notification"]
    assert (tmp_path / "b").read_bytes() == CONTENT
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    assert seen[-1] == len(CONTENT)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_the_passphrase_is_in_no_argument_and_no_variable() -> None:
    errand = sending(WHOLE)
    assert not any(PASSPHRASE in value for value in errand.environment.values())


@pytest.mark.parametrize(
    "report", [REPORT % (len(CONTENT) + 1, hashlib.sha256(CONTENT).hexdigest()), REPORT % (len(CONTENT), "0")]
)
def test_what_did_not_arrive_whole_leaves_no_file(tmp_path: Path, report: str) -> None:
    with pytest.raises(CommandError, match="did not arrive whole"):
        fetch(sending(report), PASSPHRASE, tmp_path / "b", lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_fails_is_quoted_and_leaves_no_file(tmp_path: Path) -> None:
    failing = program("out.write(b'half'); say('There is no database at /data.\\n'); sys.exit(1)")
    with pytest.raises(CommandError, match="There is no database at /data"):
        fetch(failing, PASSPHRASE, tmp_path / "b", lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(CONTENT) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            fetch(sending(WHOLE), PASSPHRASE, tmp_path / "b", lambda _: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_what_is_brought_follows_the_passphrase() -> None:
    body = f"assert sys.stdin.buffer.readline() == {PASSPHRASE.encode() + chr(10).encode()!r}\n"
    body += "say('{\"bytes\": %d}' % len(sys.stdin.buffer.read()))"
    assert bring(program(body), PASSPHRASE, io.BytesIO(CONTENT), lambda _: None) == {"bytes": len(CONTENT)}


def test_a_program_that_refuses_before_it_has_read_all_is_quoted() -> None:
    refusing = program("say('The backup does not open: the passphrase is another.\\n'); sys.exit(1)")
    with pytest.raises(CommandError, match="the passphrase is another"):
        bring(refusing, PASSPHRASE, io.BytesIO(CONTENT), lambda _: None)


def test_a_passphrase_is_the_first_line_and_a_short_one_is_refused() -> None:
    assert passphrase(io.StringIO(f"{PASSPHRASE}\r\nmore\n"), twice=True) == PASSPHRASE
    with pytest.raises(CommandError, match="at least 12") as refused:
        passphrase(io.StringIO("short\n"))
    assert refused.value.status == USAGE


@pytest.mark.parametrize(
    ("arguments", "said", "status"),
    [
        (["backup", "--to", "there"], "exists already", CONFLICT),
        (["backup", "--to", "nowhere/b"], "There is no folder", REFUSED),
        (["restore", "--from", "nothing"], "No such file", REFUSED),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_asked(
    tmp_path: Path, arguments: list[str], said: str, status: int
) -> None:
    (tmp_path / "there").touch()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FOUNTAIN_")}
    environment |= {
        "FOUNTAIN_RUNTIME": "local",
        "FOUNTAIN_STATE_DIR": str(tmp_path / "state"),
        "FOUNTAIN_ROOT": str(Path(__file__).parents[2]),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    command = [sys.executable, "-m", "fountain_cli", *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert (tmp_path / "there").read_bytes() == b""


def test_a_passphrase_is_asked_for_twice_without_being_shown_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "fountain_cli", "backup", "--to", str(tmp_path / "b")]
    pid, terminal = pty.fork()
    if not pid:
        # Who runs this in the background has it ignore what a person types.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execve(command[0], command, environment)
    shown = b""

    def read_until(what: bytes) -> None:
        nonlocal shown
        while what not in shown:
            assert select.select([terminal], [], [], 30)[0], shown
            shown += os.read(terminal, 1024)

    read_until(b"Passphrase of the backup: ")  # with its blank: behind it nothing typed is shown
    os.write(terminal, PASSPHRASE.encode() + b"\n")
    read_until(b"Repeat for confirmation: ")
    os.write(terminal, b"\x03")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == INTERRUPTED
    os.close(terminal)
    assert PASSPHRASE.encode() not in shown
    assert list(tmp_path.iterdir()) == []

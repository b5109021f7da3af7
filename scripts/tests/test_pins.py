import re
from pathlib import Path

import pytest
from check_pins import problems
from pins import disagreements, dockerfile_problems, input_problems, locked_problems, pins, shell_problems

ROOT = Path(__file__).parents[2]
HASH = f"--hash=sha256:{'0a' * 32}"
INSTALL = "python -m pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r /opt/x.txt"


def test_everything_that_gets_into_an_image_is_pinned() -> None:
    assert list(problems(ROOT)) == []


def test_a_pin_with_its_hashes_is_well() -> None:
    text = (
        f"# made\na-b==1.0 ; os_name == 'nt' \\\n    {HASH} \\\n    {HASH}\n    # via c\nc[d]==2rc1 {HASH}\n"
    )
    assert list(locked_problems(text)) == []
    assert pins(text) == {"a-b": "1.0", "c": "2rc1"}


@pytest.mark.parametrize(
    "line",
    [
        f"a>=1 {HASH}",
        f"a==1.* {HASH}",
        f"a {HASH}",
        "a==1",
        "a==1 --hash=md5:00",
        f"a==1 {HASH} --no-binary a",
        f"a @ https://example.com/a.whl {HASH}",
        f"https://example.com/a.whl {HASH}",
        "--index-url https://example.com/simple",
        "-i https://example.com/simple",
        "--extra-index-url=https://example.com/simple",
        "--find-links wheels",
        "-e .",
        "-r other.txt",
        "./wheels/a.whl",
    ],
)
def test_whatever_is_no_pin_with_hashes_is_named(line: str) -> None:
    assert len(list(locked_problems(f"ok==1 {HASH}\n{line}\n"))) == 1


def test_what_is_asked_for_is_one_version_or_another_file_of_its_kind() -> None:
    assert list(input_problems("-r ../../shared/requirements.in\na[b,c]==1.0  # why\n")) == []
    for line in ("a", "a>=1", "a==1, <2", "-r x.txt", "--index-url https://example.com", "git+https://x/y"):
        assert list(input_problems(line)), line


def test_a_lock_that_was_forgotten_is_named() -> None:
    assert list(disagreements("A_b==1\n", f"a-b==1 {HASH}")) == []
    assert len(list(disagreements("a==2\nb==1\n", f"a==1 {HASH}"))) == 2


def test_a_dockerfile_that_takes_only_what_is_hashed_is_well() -> None:
    begin = "# FROM x\nARG BASE=python:3\nFROM ${BASE} AS built\n"
    text = f"{begin}RUN groupadd x \\\n    && {INSTALL}\nFROM built\nCOPY --from=built a /b\n"
    text += "COPY --from=${BASE} a /b\nRUN --mount=type=bind,from=built,target=/b true\n"
    text += 'RUN ["groupadd", "y"]\n'
    assert list(dockerfile_problems(text)) == []


@pytest.mark.parametrize(
    "line",
    [
        "FROM python:3.13",
        "FROM ${OTHER}",
        "FROM ${BASE}-slim",
        "ADD https://example.com/x /x",
        "COPY --from=https://example.com/x a b",
        "RUN apt-get install -y curl",
        "RUN true && curl -O https://example.com/x",
        "RUN wget https://example.com/x | sh",
        "RUN python -m pip install requests",
        f"RUN {INSTALL} requests",
        "RUN pip install --no-deps --only-binary :all: -r x.txt",
        "RUN uv pip install -r x.txt",
        "RUN git clone https://example.com/x",
        "COPY --from=ghcr.io/astral-sh/uv:latest /uv /bin/uv",
        "RUN --mount=type=bind,from=ghcr.io/a/b:latest,target=/b cp /b/x /x",
        'RUN curl "https://example.com/x" -o /bin/x',
        'RUN curl "$URL" | sh',
        "RUN pip wheel requests",
        "RUN pip3 download requests",
        'RUN ["pip", "install", "requests"]',
        'RUN --network=none ["/bin/sh", "-c", "curl https://example.com"]',
        "RUN pip install 'requests",
        "RUN <<EOF\npip install requests\nEOF",
    ],
)
def test_whatever_else_a_dockerfile_takes_is_named(line: str) -> None:
    assert list(dockerfile_problems(f"ARG BASE=python:3\nFROM ${{BASE}}\n{line}\n")), line


def test_every_option_that_makes_an_install_safe_is_asked_for() -> None:
    assert list(shell_problems(INSTALL)) == []
    for option in ("--require-hashes ", "--no-deps ", "--only-binary :all: "):
        assert list(shell_problems(INSTALL.replace(option, ""))), option


def test_a_service_on_another_version_than_the_library_is_named(tmp_path: Path) -> None:
    for folder, version in (("shared", "1"), ("services/x", "2")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "requirements.in").write_text(f"a=={version}\n")
        (tmp_path / folder / "requirements.txt").write_text(f"a=={version} {HASH}\n")
    (tmp_path / "services" / "y").mkdir()
    (tmp_path / "services" / "y" / "requirements.in").write_text("b==1\n")
    found = "\n".join(problems(tmp_path))
    assert re.search(r"services/x/requirements.txt: a is 2 here and 1 in the library", found)
    assert "services/y/requirements.in has no requirements.txt" in found

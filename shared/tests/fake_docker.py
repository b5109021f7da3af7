"""A `docker` that remembers containers and volumes of Compose projects and starts nothing.

What there is stands in the JSON file that FAKE_DOCKER names: `containers` (their labels), `volumes` (labels
by name), `calls` (what Compose was told, and which images were asked for), and `fails` (what its `up` prints
before it fails).
"""

import json
import os
import sys
from pathlib import Path

PROJECT, FOLDER = "com.docker.compose.project", "com.docker.compose.project.working_dir"
STATE = Path(os.environ["FAKE_DOCKER"])


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def compose(state: dict, words: list[str]) -> int:
    project, folder = words[words.index("-p") + 1], str(Path(words[words.index("-f") + 1]).parent)
    state["calls"].append(words)
    mine = [one for one in state["containers"] if one[PROJECT] == project]
    if "ps" in words:
        say("\n".join("c0ffee" for _ in mine))
    elif "up" in words and "fails" in state:
        sys.stderr.write(state["fails"])
        return 1
    elif "up" in words:
        if not mine or "--force-recreate" in words:
            state["containers"] = [one for one in state["containers"] if one not in mine]
            state["containers"].append({PROJECT: project, FOLDER: folder})
        state["volumes"][f"{project}_kek"] = {PROJECT: project}
        say("a long story of BuildKit")
    elif "down" in words:
        state["containers"] = [one for one in state["containers"] if one not in mine]
        if "--volumes" in words:
            state["volumes"].pop(f"{project}_kek", None)
    elif "config" in words:
        say(json.dumps({"services": {}}))
    elif "exec" in words:
        say("-----BEGIN CERTIFICATE-----")
    return 0


def asked_label(words: list[str]) -> str:
    return next(word.partition("label=")[2] for word in words if word.startswith("--filter="))


def has(labels: dict, wanted: str) -> bool:
    name, _, value = wanted.partition("=")
    return name in labels and (not value or labels[name] == value)


def main(words: list[str]) -> int:
    state = json.loads(STATE.read_text())
    status = 0
    if words[:1] == ["compose"] and "-p" in words:
        status = compose(state, words)
    elif words[:1] in (["image"], ["pull"]):
        state["calls"].append(words)
    elif words[:1] == ["ps"]:
        for one in state["containers"]:
            if has(one, asked_label(words)):
                say(one[FOLDER])
    elif words[:2] == ["volume", "ls"]:
        say("\n".join(name for name, one in state["volumes"].items() if has(one, asked_label(words))))
    elif words[:2] == ["volume", "create"]:
        labels = [words[at + 1] for at, word in enumerate(words) if word == "--label"]
        state["volumes"].setdefault(words[-1], dict(label.split("=", 1) for label in labels))
    elif words[:2] == ["volume", "rm"]:
        state["volumes"].pop(words[-1], None)
    elif words[:2] == ["volume", "inspect"]:
        say(json.dumps([{"Labels": state["volumes"][words[-1]]}]))
    STATE.write_text(json.dumps(state))
    return status


sys.exit(main(sys.argv[1:]))

"""What the pages name exists: commands and their options, settings, pages."""
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ["HSM_BUILD"])
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMON = ("--config", "--user", "--password-file", "--endpoint", "--output", "--second-factor", "--approval")


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
    return done.stdout


@pytest.fixture(scope="module")
def commands():
    """Name of each command: what its help says."""
    lines = re.findall(r"^  ([a-z][a-z-]*(?: [a-z][a-z-]*)?) +\S", run(BUILD / "cli/hsm", "--help"), re.M)
    assert len(lines) > 40, lines
    return {name: run(BUILD / "cli/hsm", *name.split(), "--help") for name in lines}


def blocks(text, languages):
    return [body for language, body in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S) if language in languages]


def command_lines(text):
    """Every use of `hsm` in running text and in blocks of commands."""
    spans = re.findall(r"`(hsm [a-z-][^`]*)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    lines = [line.lstrip("$ ") for body in blocks(text, ("", "sh")) for line in body.replace("\\\n", " ").splitlines()]
    return spans + [line for line in lines if line.startswith("hsm ")]


def words_of(line):
    """Without what a shell does with its output, comments, and the options that stand before the command."""
    words = re.split(r"\s[|#>]|\s<\(", line)[0].replace("[", " ").replace("]", " ").replace(",", " ").split()[1:]
    while words and words[0].startswith("--"):
        words = words[2:]
    return words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_exist(page, commands):
    groups = {name.split()[0] for name in commands}
    for line in command_lines(page.read_text()):
        words = words_of(line)
        if words == ["..."]:
            continue
        name = next((name for name in (" ".join(words[:2]), " ".join(words[:1])) if name in commands), None)
        if name is None:
            assert len(words) == 1 and words[0] in groups or words[:1] == ["man"], f"no such command: {line}"
            continue
        for option in re.findall(r"(--[a-z][a-z-]*)", " ".join(words)):
            assert option in COMMON or re.search(rf"{option}\b", commands[name]), f"no such option: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_exist(page):
    known = run(BUILD / "node/hsmd", "--print-config") + (ROOT / "libhsm/src/config.c").read_text()
    for body in blocks(page.read_text(), ("yaml",)):
        for setting in re.findall(r"^#? ?([a-z][a-z0-9-]*):(?: |$)", body, re.M):
            assert re.search(rf"\b{setting}\b", known), f"no such setting: {setting}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_that_are_linked_exist(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target

"""The rules of this house that a program can check."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import mungos

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "mungos"
MOST_LINES = 600
LONGER: dict[str, int] = {
    "core/manager.py": 846,
    "http/client_session.py": 718,
    "http/server_session.py": 921,
    "websocket/session.py": 751,
}
"""Modules that are longer still, and how many lines each may have: as many as it has."""

VAGUE_NAMES = {"common", "helper", "helpers", "misc", "util", "utils"}
SANS_IO = ("crypto", "dns", "http", "tls", "websocket", "x509")
# Where Python gets time and chance from without an import that the linter of imports would see.
IMPURE = {"os.urandom", "os.getrandom", "os.times", "datetime.now", "datetime.utcnow", "datetime.today"}
# Where the outside is handed in: the joins to the core, and the factory whose arguments have defaults.
JOINTS = {
    "http/attach.py",
    "websocket/attach.py",
    "tls/engines/builtin/factory.py",
    "tls/engines/foreign/outside.py",
}

# Written in parts, for this file is searched too.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("crates", "io"), ("rubygems", "org"),
        ("proxy", "golang", "org"), ("docker", "io"), ("ghcr", "io"), ("pkg", "dev"),
        ("deb", "debian", "org"), ("security", "debian", "org"), ("archive", "ubuntu", "com"),
    )
]  # fmt: skip
MACHINE_PATHS = re.compile(rb"(?<![\w.$}<>-])/(?:work|home|Users|root)/[\w.]")
# Files in which such a path is not this machine's.
PATHS_ALLOWED: set[str] = set()


def project_files() -> list[Path]:
    """Every file that belongs to the project: those that git tracks or would add, else all that are there."""
    git = shutil.which("git")
    if git is not None and (ROOT / ".git").exists():
        listed = subprocess.run(
            [git, "-c", f"safe.directory={ROOT}", "ls-files", "-z", "-c", "-o", "--exclude-standard"],
            cwd=ROOT, capture_output=True, check=True,
        )  # fmt: skip
        names = [ROOT / name.decode() for name in listed.stdout.split(b"\0") if name]
        return sorted(path for path in names if path.is_file())
    folders = [ROOT / name for name in ("src", "tests", "scripts", "benchmarks", "examples", "docs")]
    inside = [path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return sorted(path for path in [*ROOT.iterdir(), *inside] if path.is_file())


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def packages() -> list[str]:
    names = [found.name for found in pkgutil.walk_packages([str(SOURCE)], "mungos.") if found.ispkg]
    return ["mungos", *sorted(names)]


def metadata() -> dict[str, object]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    assert isinstance(project, dict)
    return project


def test_no_module_is_longer_than_a_head_holds() -> None:
    counted = {str(path.relative_to(SOURCE)): len(path.read_text().splitlines()) for path in modules()}
    long = {name: lines for name, lines in counted.items() if lines > MOST_LINES}
    grown = {name: lines for name, lines in long.items() if lines > LONGER.get(name, MOST_LINES)}
    assert grown == {}, (
        f"make two of it; no file has more than {MOST_LINES} lines, nor one in LONGER more than there"
    )
    stale = {name: long.get(name) for name in LONGER if long.get(name, 0) < LONGER[name]}
    assert stale == {}, "LONGER only shrinks: write these sizes there, and leave out what has None"


def test_no_file_or_folder_has_a_vague_name() -> None:
    vague = [
        path
        for path in project_files()
        if VAGUE_NAMES & {part.split(".")[0].strip("_").lower() for part in path.relative_to(ROOT).parts}
    ]
    assert vague == []


def test_test_folders_are_no_packages_and_their_files_have_unique_names() -> None:
    tests = sorted((ROOT / "tests").rglob("*.py"))
    assert [path for path in tests if path.name == "__init__.py"] == []
    names = [path.name for path in tests if path.name.startswith("test_")]
    assert sorted({name for name in names if names.count(name) > 1}) == []


@pytest.mark.parametrize("name", packages())
def test_package_hands_out_its_public_names_and_nothing_else(name: str) -> None:
    package = importlib.import_module(name)
    public = getattr(package, "__all__", [])  # in order: that is ruff's to check (RUF022)
    assert len(public) == len(set(public))
    assert [each for each in public if not hasattr(package, each)] == []
    assert package.__file__ is not None
    for node in ast.parse(Path(package.__file__).read_text()).body:
        assert isinstance(
            node, ast.Import | ast.ImportFrom | ast.Assign | ast.AnnAssign | ast.Expr | ast.If
        ), f"{name}/__init__.py line {node.lineno}: an __init__ re-exports and holds nothing else"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_module_postpones_annotations_and_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{path} has no docstring"
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    if imports and path.name != "__init__.py":
        first = imports[0]
        assert isinstance(first, ast.ImportFrom)
        assert first.module == "__future__"


@pytest.mark.parametrize("package", SANS_IO)
def test_sans_io_packages_take_no_time_and_no_chance_by_the_back_door(package: str) -> None:
    found = []
    for path in sorted((SOURCE / package).rglob("*.py")):
        if str(path.relative_to(SOURCE)) in JOINTS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if f"{node.value.id}.{node.attr}" in IMPURE:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.value.id}.{node.attr}")
            elif isinstance(node, ast.ImportFrom) and node.module == "os":
                names = {alias.name for alias in node.names} & {"urandom", "getrandom", "times"}
                found += [f"{path.relative_to(ROOT)}:{node.lineno}: os.{name}" for name in sorted(names)]
    assert found == []


def test_no_assertion_guards_the_package() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


def test_licence_is_there_and_is_the_one_that_the_metadata_names() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert metadata()["license"] == "Apache-2.0"
    assert "Apache License" in text
    assert "Version 2.0" in text


def test_version_stands_in_one_place() -> None:
    assert getattr(mungos, "__version__", metadata()["version"]) == metadata()["version"]


def test_changelog_has_a_place_for_what_comes_next_and_names_the_version() -> None:
    headings = re.findall(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert len(headings) == 1 or headings[1] == metadata()["version"]


def test_no_file_names_a_machines_paths_or_a_package_registry() -> None:
    found = []
    for path in project_files():
        content = path.read_bytes()
        name = str(path.relative_to(ROOT))
        if name != "LICENSE":
            found += [f"{name}: {host}" for host in REGISTRIES if host.encode() in content]
        if name not in PATHS_ALLOWED:
            found += [f"{name}: {match[0].decode()}…" for match in MACHINE_PATHS.finditer(content)]
    assert found == []


def test_python_files_parse_on_the_oldest_python() -> None:
    for path in project_files():
        if path.suffix == ".py":
            ast.parse(path.read_text(), str(path), feature_version=(3, 11))


def code_blocks(path: Path) -> list[tuple[str, str]]:
    """Language and text of each fenced block of a Markdown file."""
    found = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)
    return [(language, text) for language, text in found]


def documents() -> list[Path]:
    return [path for path in project_files() if path.suffix == ".md"]


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_code_in_documents_parses(path: Path) -> None:
    shell = shutil.which("bash")
    for language, text in code_blocks(path):
        if language in {"python", "py"}:
            # A block may show what stands inside a coroutine.
            compile(text, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        elif language in {"sh", "bash", "shell"} and shell is not None:
            checked = subprocess.run([shell, "-n"], input=text, text=True, capture_output=True, check=False)
            assert checked.returncode == 0, checked.stderr
        elif language == "toml":
            tomllib.loads(text)


def test_targets_named_in_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in documents():
        for _, text in code_blocks(path):
            named = set(re.findall(r"^(?:\$ )?make ([a-z0-9-]+)", text, re.MULTILINE))
            assert named <= targets, f"{path}: {named - targets}"


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_in_documents_lead_to_files(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target and not target.startswith("mailto:"):
            assert (path.parent / target).exists(), f"{path}: {target}"


def test_no_possessive_or_atomic_group_in_an_expression() -> None:
    # Python before 3.11.4 goes on behind a possessive group's failed repetition: `(?:ab)*+` takes "aba".
    # A single set of characters may be possessive.
    bad = re.compile(r"\)[*+?]\+|\)\{[0-9,]*\}\+|\(\?>")
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if "re.compile" in line or 'rf"' in line or 'r"' in line:
                if bad.search(re.sub(r"\[[^\]]*\]", "", line)):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert found == []

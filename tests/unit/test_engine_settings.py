"""Downloads of tests/engine use the machine's settings, and show them when they fail.

Recording stubs replace the client programs, so nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "tests" / "engine"

RECORDER = """\
#!{python}
import json, os, sys
call = {{"arguments": sys.argv[1:], "cwd": os.getcwd(), "files": os.listdir()}}
call["environment"] = dict(os.environ)
with open({record!r}, "a") as file:
    file.write(json.dumps(call) + "\\n")
{body}
"""


@dataclass
class Machine:
    """A machine whose client programs are stubs."""

    root: Path

    def has(self, name: str, body: str = "") -> None:
        """Put a stub before the real program in PATH; it records its calls and runs the body."""
        program = self.root / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(
            RECORDER.format(python=sys.executable, record=str(self._record(name)), body=body)
        )
        program.chmod(0o755)

    def calls(self, name: str, *arguments: str) -> list[dict[str, object]]:
        """The calls of a program that began with these arguments."""
        record = self._record(name)
        lines = record.read_text().splitlines() if record.exists() else []
        calls = [json.loads(line) for line in lines]
        return [call for call in calls if call["arguments"][: len(arguments)] == list(arguments)]

    def run(self, script: str, **environment: str) -> str:
        """Run a script that imports the modules of tests/engine; returns all that it printed."""
        done = subprocess.run(
            [sys.executable, "-c", script],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=self.root,
            env={
                "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
                "HOME": str(self.root),
                "PYTHONPATH": str(ENGINE),
                "PYTHONDONTWRITEBYTECODE": "1",
                **environment,
            },
        )
        return done.stdout

    def _record(self, name: str) -> Path:
        return self.root / f"{name}.calls"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without stubs."""
    return Machine(tmp_path)


FETCH_MONGOSH = """
import pathlib, recipes
recipes._fetch_mongosh("mongosh@1", pathlib.Path("context"))
"""


def test_npm_keeps_its_global_settings(machine: Machine) -> None:
    """With --prefix, npm looks for global settings in that folder and ignores the machine's."""
    (machine.root / "context").mkdir()
    machine.has("npm", "os.mkdir('node_modules')")
    output = machine.run(FETCH_MONGOSH, NPM_CONFIG_CAFILE="/own.pem", NODE_EXTRA_CA_CERTS="/x.pem")
    assert not output
    (call,) = machine.calls("npm", "install")
    assert not [word for word in str(call["arguments"]).split("'") if word.startswith("--prefix")]
    assert call["cwd"] == str(machine.root / "context" / "mongosh")
    assert call["files"] == ["package.json"], "this makes the folder npm's installation prefix"
    assert (machine.root / "context" / "mongosh" / "node_modules").is_dir()
    environment = call["environment"]
    assert isinstance(environment, dict)
    assert environment["NPM_CONFIG_CAFILE"] == "/own.pem"
    assert environment["NODE_EXTRA_CA_CERTS"] == "/x.pem"


NPM_THAT_FAILS = """
if sys.argv[1] == "config":
    print('; "global" config from /etc/npmrc')
    print()
    print('cafile = "/etc/own.pem"')
    print('proxy = "http://user:secret@proxy.invalid:3128/"')
    print('; npm version = 9')
else:
    sys.exit("npm ERR! SELF_SIGNED_CERT_IN_CHAIN http://user:secret@proxy.invalid:3128/")
"""


def test_npm_failure_shows_settings_without_secrets(machine: Machine) -> None:
    (machine.root / "context").mkdir()
    machine.has("npm", NPM_THAT_FAILS)
    output = machine.run(FETCH_MONGOSH, HTTPS_PROXY="http://me:hidden@proxy.invalid", LDB_NAME="x")
    expected = """\
    npm ERR! SELF_SIGNED_CERT_IN_CHAIN http://***@proxy.invalid:3128/
The settings of npm (npm config list):
    ; "global" config from /etc/npmrc
    cafile = "/etc/own.pem"
    proxy = "http://***@proxy.invalid:3128/"
Variables that are set: HTTPS_PROXY
"""
    assert output.endswith(expected)
    assert "secret" not in output
    assert "hidden" not in output
    assert "npm version" not in output


@pytest.mark.parametrize("place", ["file", "variable"])
def test_pip_failure_shows_settings_from_all_sources(machine: Machine, place: str) -> None:
    address = "http://user:secret@127.0.0.1:1/simple"
    environment = {"PIP_RETRIES": "0", "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""}
    if place == "file":
        file = machine.root / "own.conf"
        file.write_text(f"[global]\nindex-url = {address}\n")
        environment["PIP_CONFIG_FILE"] = str(file)
    else:
        environment["PIP_INDEX_URL"] = address
    output = machine.run(
        "import pathlib, recipes\n"
        'recipes._fetch_mongod("pytest-ldb-needs-this==0", pathlib.Path.cwd())',
        **environment,
    )
    assert "The settings of pip (pip config list):" in output
    assert "index-url='http://***@127.0.0.1:1/simple'" in output
    assert f"Variables that are set: {', '.join(sorted(environment))}" in output
    assert "secret" not in output


APT_GET = """
if sys.argv[1] == "indextargets":
    assert "Origin: Debian" in sys.argv or "$(REPO_URI)" in sys.argv
    if os.path.exists("lists"):
        print("http://user:secret@mirror.invalid/debian/\\t" + os.environ["ENTRY"])
elif sys.argv[1] == "update" and "ENTRY" in os.environ:
    open("lists", "w").close()
"""
APT_CONFIG = """
if sys.argv[1] == "dump":
    print('''APT::Architecture "amd64";
Acquire "";
Acquire::AllowInsecureRepositories "0";
Acquire::IndexTargets::deb::Packages::Description "x";
Acquire::Languages:: "de";
Acquire::CompressionTypes::xz "xz";
Acquire::Check-Valid-Until "false";
Acquire::http::Proxy "http://user:secret@proxy.invalid:3128";
Acquire::https::mirror.invalid::CaInfo "/etc/own.pem";''')
else:
    print("file='/own/auth.conf'; parts='/own/auth.conf.d/'")
"""
# The settings file is removed at the end of the run.
MMDEBSTRAP = """
import shlex
hook = next(word for word in sys.argv if word.startswith("--setup-hook="))
print(open(shlex.split(hook)[2]).read().strip())
print(os.environ.get("http_proxy"))
sys.exit(1)
"""
WRITE_DEBIAN = """
import bootstrap, pathlib
bootstrap.KEYRING = pathlib.Path("/")
bootstrap.write_debian("trixie", ["tool"], None, pathlib.Path("debian.tar"))
"""
SOURCES = {
    "own.list": (
        "# deb [signed-by=/not.gpg] x\ndeb [arch=amd64 signed-by=/own.gpg] http://x y main\n"
    ),
    "own.sources": (
        "# Signed-By: /not.gpg\n\nTypes: deb\nSigned-By: /not.gpg\n\n"
        "Types: deb\n# Signed-By: /not.gpg\nSigned-By: /own.gpg\n"
    ),
    "trusted.list": "\ndeb [trusted=yes] http://x y main\n",
    "inside.sources": "Types: a\n\nTypes: deb\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n",
}


def apt(machine: Machine) -> None:
    """Give the machine an apt whose lists have been removed."""
    machine.has("apt-get", APT_GET)
    machine.has("apt-config", APT_CONFIG)
    machine.has("mmdebstrap", MMDEBSTRAP)


MIRROR = "http://user:secret@mirror.invalid/debian/"
KEYRINGS = "/own.gpg,/usr/share/keyrings/debian-archive-keyring.gpg"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("own.list", f"deb [signed-by={KEYRINGS}] {MIRROR} trixie main"),
        ("own.sources", f"deb [signed-by={KEYRINGS}] {MIRROR} trixie main"),
        ("trusted.list", f"deb [trusted=yes] {MIRROR} trixie main"),
        ("inside.sources", MIRROR),
    ],
)
def test_packages_use_the_mirror_of_the_machine(machine: Machine, name: str, source: str) -> None:
    apt(machine)
    (machine.root / name).write_text(SOURCES[name])
    machine.run(WRITE_DEBIAN, ENTRY=f"{machine.root / name}:2")
    (call,) = machine.calls("mmdebstrap")
    arguments = call["arguments"]
    assert isinstance(arguments, list)
    assert arguments[-3:] == ["trixie", "debian.tar", source]
    assert "--include=tool" in arguments
    assert '--customize-hook=rm "$1/etc/apt/apt.conf.d/99pytest-ldb"' in arguments


def test_packages_use_the_proxy_and_certificates_of_the_machine(machine: Machine) -> None:
    apt(machine)
    (machine.root / "x.list").write_text("deb http://x y main\n")
    entry = f"{machine.root / 'x.list'}:1"
    output = machine.run(WRITE_DEBIAN, ENTRY=entry, http_proxy="http://other.invalid")
    used, _, told = output.partition("The settings of apt:")
    assert used.endswith("""\
    Acquire::AllowInsecureRepositories "0";
    Acquire::Check-Valid-Until "false";
    Acquire::http::Proxy "http://***@proxy.invalid:3128";
    Acquire::https::mirror.invalid::CaInfo "/etc/own.pem";
    Dir::Etc::netrc "/own/auth.conf";
    Dir::Etc::netrcparts "/own/auth.conf.d/";
    http://other.invalid
""")
    assert "sources: http://***@mirror.invalid/debian/" in told
    assert 'Acquire::https::mirror.invalid::CaInfo "/etc/own.pem"' in told
    assert "Variables that are set: http_proxy" in told
    assert "secret" not in told


def test_machine_without_mirror_gets_none(machine: Machine) -> None:
    apt(machine)
    output = machine.run(WRITE_DEBIAN)
    assert machine.calls("apt-get", "update")
    assert not machine.calls("mmdebstrap")
    assert "none of the sources that apt has on this machine is Debian's" in output


def test_failed_pull_stops_further_pulls(machine: Machine) -> None:
    machine.has("docker", "sys.exit('no such host' if sys.argv[1] == 'pull' else 0)")
    output = machine.run(
        "import builder, recipes\nfor recipe in recipes.MAIN: assert builder._pull(recipe) == {}"
    )
    assert len(machine.calls("docker", "pull")) == 1
    assert "no such host" in output
    assert "The settings of docker" in output


def test_build_downloads_nothing(machine: Machine) -> None:
    """A container has none of the settings of the machine."""
    commands = json.loads(
        machine.run(
            "import builder, json, recipes\n"
            "print(json.dumps([builder._build_command(r) for r in recipes.ALL.values()]))"
        )
    )
    assert all("--network=none" in command for command in commands)
    dockerfiles = list(ENGINE.glob("images/*/Dockerfile"))
    assert dockerfiles
    for file in dockerfiles:
        assert not re.search(r"\b(apt(-get)?|curl|wget|npm|pip) ", file.read_text()), file


NAMES = """
    NODE_EXTRA_CA_CERTS SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE GIT_SSL_CAINFO
    HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY http_proxy https_proxy no_proxy all_proxy
    NPM_CONFIG_CAFILE NPM_CONFIG_USERCONFIG npm_config_registry npm_config_cafile
    PIP_CERT PIP_CONFIG_FILE PIP_INDEX_URL UV_DEFAULT_INDEX APT_CONFIG NETRC
    DOCKER_HOST DOCKER_CONFIG DOCKER_CONTEXT CONTAINER_HOST XDG_CONFIG_DIRS XDG_CONFIG_HOME
"""


def test_client_variables_are_in_pass_env(machine: Machine) -> None:
    """The script reads the patterns from tox.ini, so what it finds is what tox passes on."""
    environment = dict.fromkeys(NAMES.split(), "x")
    output = machine.run("import settings; print(*settings.variables_set())", **environment, A="x")
    assert output.split() == sorted(environment)


HOSTS = re.compile(
    r"\b(deb|ftp|security|snapshot|archive)\.debian\.org|npmjs\.(org|com)|yarnpkg\.com|"
    r"\bpypi\.(org|python)|pythonhosted\.org|registry-1\.|\b(index|registry)\.docker\.|hub\.docker\.",
)


def test_no_mirror_or_registry_is_named() -> None:
    """The machine's own settings name them."""
    files = [ROOT / name for name in ("README.md", "CHANGELOG.md", "pyproject.toml", "tox.ini")]
    for folder in (".ci", "docs", "pytest_ldb", "tests"):
        files += [
            file for file in sorted((ROOT / folder).rglob("*")) if "__pycache__" not in file.parts
        ]
    named = [
        f"{file.relative_to(ROOT)}: {found.group()}"
        for file in files
        if file.is_file()
        for found in HOSTS.finditer(file.read_text(errors="replace"))
    ]
    assert not named

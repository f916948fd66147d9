"""The diagram of the deployer's modules in docs/design.md: read it, compare it and redraw it.

A box holds a few modules with one purpose. `python -m tests.diagram` redraws the
diagram: it keeps the boxes and their titles, and updates modules, their order and the arrows.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from tests.baking import ROOT, TEMPLATE_FOLDER

DEPLOYER = ROOT / TEMPLATE_FOLDER / "deployer"
PAGE = ROOT / "docs" / "design.md"
PICTURE = re.compile(r"```mermaid\nflowchart TB\n  %% modules\n(.*?)```\n", re.DOTALL)
BOX = re.compile(r'^  (\w+)\["<b>(.+)</b><br>(.+)"\]$', re.MULTILINE)
ARROW = re.compile(r"^  (\w+) --> (.+)$", re.MULTILINE)

# The imports of each module, by module name inside the package: `deploy`, `cli.render`, `__init__`.
Imports = dict[str, set[str]]


@dataclass
class Box:
    """A box of the diagram.

    Attributes:
        id: its name in the Mermaid source.
        title: the title that a reader sees.
        modules: its modules, in an order in which each imports only later ones.
    """

    id: str
    title: str
    modules: list[str]


def imports(package: Path) -> Imports:
    """Return the imports between a package's modules, at any place in a file."""
    files = {_dotted(path, package): path for path in sorted(package.rglob("*.py"))}
    found: Imports = {name: set() for name in files}
    for name, path in files.items():
        for wanted in _wanted(ast.parse(path.read_text(encoding="utf-8"))):
            for dotted in wanted:
                inside = dotted.removeprefix(package.name).lstrip(".") or "__init__"
                if dotted.split(".")[0] == package.name and inside in files:
                    found[name] |= {inside} - {name}
                    break
    return found


def top_level_imports(package: Path) -> set[str]:
    """Return the top-level names of all packages and modules that a package imports."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in package.rglob("*.py")]
    return {wanted[0].split(".")[0] for tree in trees for wanted in _wanted(tree)}


def _dotted(path: Path, package: Path) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _wanted(tree: ast.Module) -> Iterable[list[str]]:
    """Yield the candidates of each import: `from a import b` is the module `a.b`, or else `a`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ([each.name] for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: replace the relative import"
            yield from ([f"{node.module}.{each.name}", str(node.module)] for each in node.names)


def layers(graph: Imports) -> int:
    """Return the number of layers: the longest chain of imports between files and folders.

    Raises:
        graphlib.CycleError: there is an import cycle.
    """
    TopologicalSorter(graph).prepare()

    @cache
    def layer(module: str) -> int:
        steps = (layer(each) + (_folder(each) != _folder(module)) for each in graph[module])
        return max(steps, default=1)

    return max(map(layer, graph))


def _folder(module: str) -> str:
    return module.split(".")[0]


def parse(text: str) -> tuple[list[Box], set[tuple[str, str]]]:
    """Return the boxes of the diagram from top to bottom, and its arrows."""
    (picture,) = PICTURE.findall(text)
    boxes = [Box(id, title, names.split(" · ")) for id, title, names in BOX.findall(picture)]
    arrows = {(a, b) for a, ends in ARROW.findall(picture) for b in ends.split(" & ")}
    return boxes, arrows


def upward(boxes: list[Box], graph: Imports) -> list[str]:
    """Return the imports of modules in a higher box, or further left in the same box."""
    order = [module for box in boxes for module in box.modules]
    place = {module: number for number, module in enumerate(order)}
    return [
        f"{module} imports {each}"
        for module in order
        for each in sorted(graph.get(module, ()))
        if place.get(each, len(order)) < place[module]
    ]


def arrows(boxes: list[Box], graph: Imports) -> set[tuple[str, str]]:
    """Return the arrows to draw: imports between boxes, except those implied by longer paths."""
    home = {module: box.id for box in boxes for module in box.modules}
    direct: Imports = {box.id: set() for box in boxes}
    for module, wanted in graph.items():
        direct[home[module]] |= {home[each] for each in wanted} - {home[module]}
    TopologicalSorter(direct).prepare()

    @cache
    def below(box: str) -> frozenset[str]:
        return frozenset(direct[box]).union(*(below(each) for each in direct[box]))

    return {
        (box, each)
        for box, wanted in direct.items()
        for each in wanted
        if not any(each in below(other) for other in wanted)
    }


def draw(boxes: list[Box], graph: Imports) -> str:
    """Return the Mermaid source of the diagram."""
    lines = [f'  {each.id}["<b>{each.title}</b><br>{" · ".join(each.modules)}"]' for each in boxes]
    drawn = arrows(boxes, graph)
    for box in boxes:
        if ends := [each.id for each in boxes if (box.id, each.id) in drawn]:
            lines.append(f"  {box.id} --> {' & '.join(ends)}")
    return "\n".join(["```mermaid", "flowchart TB", "  %% modules", *lines, "```"]) + "\n"


def rearrange(boxes: list[Box], graph: Imports) -> list[Box]:
    """Return the boxes with the modules that exist now.

    A new module goes into the box of a removed module of the same name (it moved into or out of a
    folder), otherwise into the box of its folder, otherwise of the topmost module that it imports.
    """
    old = {module: box.id for box in boxes for module in box.modules}
    by_name = {module.split(".")[-1]: box for module, box in old.items() if module not in graph}
    by_folder = {_folder(module): box for module, box in old.items()}
    ids = [box.id for box in boxes]
    home: dict[str, str] = {}
    order = _importers_first([*old, *sorted(graph)], graph)
    for module in reversed(order):
        home[module] = (
            old.get(module)
            or by_name.get(module.split(".")[-1])
            or by_folder.get(_folder(module))
            or min((home[each] for each in graph[module]), key=ids.index, default=ids[-1])
        )
    filled = [
        Box(box.id, box.title, [each for each in order if home[each] == box.id]) for box in boxes
    ]
    return [box for box in filled if box.modules]


def _importers_first(preferred: list[str], graph: Imports) -> list[str]:
    """Sort modules so that each precedes those it imports; keep the given order otherwise."""
    left = [each for each in dict.fromkeys(preferred) if each in graph]
    done: list[str] = []
    while left:
        blocked = {each for module in left for each in graph[module]}
        done.append(next(each for each in left if each not in blocked))
        left.remove(done[-1])
    return done


def main() -> None:
    """Redraw the diagram in docs/design.md.

    Raises:
        graphlib.CycleError: there is an import cycle between modules or boxes.
    """
    text, graph = PAGE.read_text(encoding="utf-8"), imports(DEPLOYER)
    TopologicalSorter(graph).prepare()
    picture = draw(rearrange(parse(text)[0], graph), graph)
    PAGE.write_text(PICTURE.sub(lambda _: picture, text), encoding="utf-8")


if __name__ == "__main__":
    main()

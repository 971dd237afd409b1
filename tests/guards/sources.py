"""The checkout as the guards see it: files by folder, and their syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("console", "actions", "runbooks")


def files(folder: str, suffix: str) -> list[Path]:
    """Files below a folder of the checkout, in order."""
    return sorted(path for path in (ROOT / folder).rglob(f"*{suffix}") if "__pycache__" not in path.parts)


def modules() -> dict[str, str]:
    """Path within the checkout -> source, of every module that is shipped."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in files(package, ".py")
    }


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def called(node: ast.AST) -> str:
    """The last name of what is called: `f` of `f()` and of `a.b.f()`; empty for anything else."""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def names(tree: ast.AST) -> Iterator[str]:
    """Every identifier that a module uses, imports or defines, and every dotted name in a string."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Constant(value=str(name)) if name.isidentifier():
                yield name  # getattr(module, "name")


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, text) of every string that is no docstring; the literal parts of f-strings too."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.lineno, node.value

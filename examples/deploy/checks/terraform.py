"""Validates main.tf against the schema of the AWS provider, which is read from its Python bindings."""

import ast
import re
import zipfile

import hcl2


class Provider:
    """The resources and data sources of the AWS provider: the arguments of each block, and which of them are required."""

    META = {"count", "depends_on", "for_each", "lifecycle", "provider", "provisioners", "connection"}

    def __init__(self, wheel):
        self.wheel = zipfile.ZipFile(wheel)
        self.modules = {}

    def block(self, kind, nested):
        """(all, required) arguments of a block. `kind`: aws_iam_role or data_aws_iam_role; `nested`: the path inside it."""
        module = kind.removeprefix("aws_") if kind.startswith("aws_") else kind
        name = "".join(part.capitalize() for part in module.split("_"))
        # In the bindings, the configuration of a resource X is the class XConfig; a block in it is X and the path.
        name += "".join(part.capitalize() for step in nested for part in step.split("_")) if nested else "Config"
        return self.classes(module).get(name)

    def classes(self, module):
        if module not in self.modules:
            self.modules[module] = self.read(f"cdktf_cdktf_provider_aws/{module}/__init__.py")
        return self.modules[module]

    def read(self, name):
        if name not in self.wheel.namelist():
            return {}
        found = {}
        for item in ast.parse(self.wheel.read(name)).body:
            for init in getattr(item, "body", []):
                if isinstance(init, ast.FunctionDef) and init.name == "__init__":
                    names = [argument.arg for argument in init.args.kwonlyargs]
                    required = {n for n, default in zip(names, init.args.kw_defaults) if default is None}
                    found[item.name] = (set(names), required)
        return found


def unquoted(value):
    """python-hcl2 leaves literals in their quotation marks."""
    return value[1:-1] if isinstance(value, str) and value[:1] == value[-1:] == '"' else value


def blocks(body, kind):
    """(labels…, content) of each block of a kind."""
    for entry in body.get(kind, []):
        for first, inner in entry.items():
            if kind in ("resource", "data"):
                for second, content in inner.items():
                    if not second.startswith("__"):
                        yield unquoted(first), unquoted(second), content
            elif not first.startswith("__"):
                yield unquoted(first), inner


def configuration(path, provider):
    """Syntax errors, unknown and missing arguments, and references to undeclared names."""
    text = path.read_text()
    try:
        body = hcl2.loads(text)
    except Exception as error:  # python-hcl2 raises the exceptions of its parser generator.
        yield f"{path}: {error}"
        return
    declared = set()
    for prefix in ("resource", "data"):
        for kind, name, content in blocks(body, prefix):
            declared.add(f"{'data.' * (prefix == 'data')}{kind}.{name}")
            key = f"data_{kind}" if prefix == "data" else kind
            yield from arguments(f"{path}: {prefix} {kind}.{name}", provider, key, [], content)
    declared |= {f"var.{name}" for name, _ in blocks(body, "variable")}
    declared |= {f"local.{name}" for name, _ in blocks(body, "locals")}
    without_comments = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    for reference in re.findall(r"(?<![\w.\"-])((?:data\.)?(?:aws_\w+|var|local)\.\w+)", without_comments):
        if reference not in declared:
            yield f"{path}: {reference} is not declared"


def arguments(where, provider, kind, nested, content):
    known = provider.block(kind, nested)
    if known is None:
        yield f"{where}: the provider has no block {'.'.join([kind, *nested])}"
        return
    allowed, required = known
    # python-hcl2 adds keys of its own: __is_block__, __comments__.
    given = {name for name in content if not name.startswith("__")}
    for name in sorted(given - allowed - provider.META):
        yield f"{where}: {'.'.join([*nested, name])} is not an argument"
    for name in sorted(required - given):
        yield f"{where}: {'.'.join([*nested, name])} is missing"
    for name in sorted(given & allowed):
        inner = [item for item in content[name] if isinstance(item, dict)] if isinstance(content[name], list) else []
        for item in inner:
            if "__is_block__" in item:
                yield from arguments(where, provider, kind, [*nested, name], item)

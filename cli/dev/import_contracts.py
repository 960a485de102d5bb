"""An import-linter contract that limits how many modules lie side by side in one folder; import-linter has none."""

from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class ModulesSideBySide(Contract):
    """`ancestors` are the packages to check, with all below them; `at_most` counts modules, not sub-packages."""

    ancestors: Any = fields.ListField(subfield=fields.StringField())
    at_most: Any = fields.IntegerField(minimum=1)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        crowded = {}
        for package in self._packages(graph):
            modules = [child for child in graph.find_children(package) if not graph.find_children(child)]
            if len(modules) > self.at_most:
                crowded[package] = len(modules)
        return ContractCheck(kept=not crowded, metadata=crowded)

    def render_broken_contract(self, check: ContractCheck) -> None:
        for package, count in sorted(check.metadata.items()):
            output.print_error(f"{package} has {count} modules side by side; at most {self.at_most} are allowed.")

    def _packages(self, graph: ImportGraph) -> set[str]:
        below = {module for ancestor in self.ancestors for module in graph.find_descendants(ancestor)}
        return {module for module in below | set(self.ancestors) if graph.find_children(module)}

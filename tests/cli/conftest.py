from cli_project import _compiled_once, compiled, fedproof, project

__all__ = ["_compiled_once", "compiled", "fedproof", "project"]

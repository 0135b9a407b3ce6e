"""What a receipt names: Python and the installed Keras and TensorFlow."""

import contextlib
import importlib.metadata
import platform


def installed_versions() -> dict[str, str]:
    """Return the versions by name."""
    installed = {"Python": platform.python_version()}
    for name, distributions in {"Keras": ["keras"], "TensorFlow": ["tensorflow-cpu", "tensorflow"]}.items():
        for distribution in distributions:
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                installed.setdefault(name, importlib.metadata.version(distribution))
    return installed

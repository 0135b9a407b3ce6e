"""The theme's templates are compiled once for both editions and for later builds."""

from jinja2 import FileSystemBytecodeCache
from page_model import ROOT


def on_env(env, config, files):
    """Keep what Jinja makes of the templates."""
    folder = ROOT / ".cache" / "templates"
    folder.mkdir(parents=True, exist_ok=True)
    env.bytecode_cache = FileSystemBytecodeCache(str(folder))

"""What the fork server imports once for all pages. Nothing here may run a TensorFlow operation."""

import contextlib
import gc
import os
from collections.abc import Iterator

from course.project import ROOT

from tests.verify.run.reader import reader_environment

gc.disable()  # until all is imported: it would look for garbage in what is there to stay
HOME = ROOT / ".cache" / "home"  # kept, so that matplotlib need not list the fonts each time
HOME.mkdir(parents=True, exist_ok=True)
os.environ.clear()  # of this machine's settings
os.environ.update(reader_environment(HOME), TF_CPP_MIN_LOG_LEVEL="3")  # its C++ logs for readers alone: reader.py
for threads in ("OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[threads] = "1"  # there are programs enough for all cores

import matplotlib.pyplot  # noqa: E402, F401
import pytest_examples  # noqa: E402, F401

import tests.verify.run.description  # noqa: E402, F401
import tests.verify.run.execution  # noqa: E402, F401


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Send what TensorFlow says of itself at its import, which no variable silences, to nowhere."""
    standard_error, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(standard_error, 2)


with contextlib.suppress(Exception), quiet_start():  # what it meets, each program meets, and says where
    import keras  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import sklearn.model_selection  # noqa: F401
    import tensorflow  # noqa: F401

gc.freeze()  # so that no page's process looks through, and so copies, what it shares with this one
gc.enable()

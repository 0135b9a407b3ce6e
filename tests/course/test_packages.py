"""A notebook tells readers to install what its program imports, by the name that it is installed by."""

import importlib.metadata

from course.packages import PACKAGES, packages_of
from course.program import Program


def test_the_names_are_those_of_what_is_installed():
    installed = importlib.metadata.packages_distributions()
    for module, packages in PACKAGES.items():
        brought_by = {name.lower().replace("_", "-").removesuffix("-cpu") for name in installed[module]}
        assert packages[0] in brought_by, f"{module} is brought by {brought_by}"


def test_only_what_is_imported_is_to_be_installed():
    program = Program(
        ('"""\nimport words\n"""\nimport os, numpy as np\nfrom PIL import Image', "import helper\nimport keras")
    )
    assert packages_of(program) == ["numpy", "pillow", "keras", "tensorflow"]

"""What Material's templates lack for screen readers and valid HTML is put right in the finished page.

Overriding the templates would copy some 300 lines of Material for the sake of six attributes. A test fails when
Material has one of them itself, so that the line for it can go.
"""

import re

NAVIGATION_TITLE = re.compile(r'<label class="md-nav__title" for="__nav_(\d+)">')
AUTOCOMPLETE = re.compile(r'(type="checkbox" id="__\w+") autocomplete="off"')


def with_names(output: str) -> str:
    """Name the search dialog and each part of the navigation; drop attributes that say nothing."""
    if name := re.search(r'name="query" aria-label="([^"]+)"', output):
        output = output.replace('class="md-search" ', f'class="md-search" aria-label="{name[1]}" ', 1)
    output = re.sub(r'aria-labelledby="__nav_(\d+)_label"', r'aria-labelledby="__nav_\1_title"', output)
    output = NAVIGATION_TITLE.sub(r'<label class="md-nav__title" for="__nav_\1" id="__nav_\1_title">', output)
    output = AUTOCOMPLETE.sub(r"\1", output)
    if 'id="__toc"' not in output:
        output = output.replace(' for="__toc"', "")
    return output.replace(' tabindex=""', "")

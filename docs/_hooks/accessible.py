"""What Material's templates lack for screen readers and valid HTML is put right in the finished page."""

import re

from mkdocs.plugins import event_priority


@event_priority(-100)
def on_post_page(output, page, config):
    """Name the search dialog and each part of the navigation; drop attributes that say nothing."""
    name = re.search(r'name="query" aria-label="([^"]+)"', output)
    output = output.replace('class="md-search" ', f'class="md-search" aria-label="{name[1]}" ', 1)
    output = re.sub(r'aria-labelledby="__nav_(\d+)_label"', r'aria-labelledby="__nav_\1_title"', output)
    output = re.sub(
        r'<label class="md-nav__title" for="__nav_(\d+)">',
        r'<label class="md-nav__title" for="__nav_\1" id="__nav_\1_title">',
        output,
    )
    output = re.sub(r'(type="checkbox" id="__\w+") autocomplete="off"', r"\1", output)
    if 'id="__toc"' not in output:
        output = output.replace(' for="__toc"', "")
    return output.replace(' tabindex=""', "")

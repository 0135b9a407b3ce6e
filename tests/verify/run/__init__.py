"""How a page's program is run: in a process of its own, and its result kept."""

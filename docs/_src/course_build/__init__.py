"""What turns the course into a site: Markdown extensions, pages finished after rendering, a plugin for MkDocs."""

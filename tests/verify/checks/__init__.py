"""What is asked of a page, one matter a file; each function gives the problems that it finds."""

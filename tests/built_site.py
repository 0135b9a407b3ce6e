"""The built site as the tests see it: its folder, its address, its pages."""

import contextlib
import functools
import http.server
import os
import socket
import subprocess
import sys
import threading

from course.project import ROOT


def free_port():
    """Return a port of this machine that nobody listens on."""
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def build(folder, url, project=ROOT):
    """Build both editions of `project` into `folder`, for the address `url`; return the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=project,
        env={**os.environ, "SITE_URL": url, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )


@contextlib.contextmanager
def serve(folder, port):
    """Serve `folder` on `port` while the context lasts, an unknown address with the site's own 404 page."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def send_error(self, code, message=None, explain=None):
            body = (folder / "404.html").read_bytes()
            self.send_response(code, message)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    server.shutdown()


def html_file(folder, page):
    """Return the HTML file that the page became."""
    name = page.name.removesuffix("index").rstrip("/")
    return folder / page.edition / name / "index.html"

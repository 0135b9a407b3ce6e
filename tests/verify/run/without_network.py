"""Imported by each interpreter that runs a script for a reader, children included: it has no network, and says so.

It imports nothing that the interpreter has not imported, for what stands in a script must import it itself.
"""

import os
import sys


def refuse(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse what leads out of this machine, or to a server on it."""
    match event, arguments:
        case ("socket.connect" | "socket.sendto", (connection, address)):
            if getattr(getattr(connection, "family", None), "name", "") == "AF_UNIX":
                return  # as processes talk to each other
            asked = address
        case ("socket.getaddrinfo" | "socket.gethostbyname" | "socket.gethostbyaddr", (host, *_)):
            asked = host
        case _:
            return
    os.write(2, f"this asks the network for {asked}\n".encode())
    raise OSError(f"there is no network: {asked}")


sys.addaudithook(refuse)

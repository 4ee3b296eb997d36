"""Stripe as localstripe knows it, on a port of the system's choosing, which is printed. Ends when stdin does."""

import os
import socket
import sys
import threading

from aiohttp import web
from localstripe import resources
from localstripe.server import app

# Everything stays in memory.
resources.Store.dump_to_disk = lambda self: None


def wait_for_the_end():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=wait_for_the_end, daemon=True).start()
sock = socket.socket()
sock.bind(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
web.run_app(app, sock=sock, print=None)

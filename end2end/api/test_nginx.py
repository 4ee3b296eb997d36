"""The configuration in docs/nginx.md, in a real nginx, between clients and a service that knows no keys.

WHEELHOUSE_URL names a running server that trusts 127.0.0.1 as a proxy. Keys come from bin/test-api:
WHEELHOUSE_KEY_READ may read tasks, WHEELHOUSE_KEY_WRITE read and write, WHEELHOUSE_KEY_NONE neither.
"""

import http.client
import http.server
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_WITHIN_SECONDS = 10


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service(http.server.BaseHTTPRequestHandler):
    """Answers with the headers that it was sent."""

    def do_GET(self):
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *_):
        pass


class Nginx(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
        threading.Thread(target=cls.service.serve_forever, daemon=True).start()
        cls.port = free_port()
        cls.folder = tempfile.TemporaryDirectory(prefix="wheelhouse-nginx-")
        folder = pathlib.Path(cls.folder.name)
        (folder / "nginx.conf").write_text(cls.configuration(folder))
        cls.nginx = subprocess.Popen(
            ["nginx", "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log", "-g", "daemon off;"]
        )
        cls.wait_until_ready(folder)

    @classmethod
    def configuration(cls, folder):
        example = re.search(r"```nginx\n(.*?)```", (ROOT / "docs/nginx.md").read_text(), re.S).group(1)
        wheelhouse = os.environ["WHEELHOUSE_URL"].removeprefix("http://")
        for standing_in, real in {
            "127.0.0.1:8080": f"127.0.0.1:{cls.port}",
            "127.0.0.1:4000": f"127.0.0.1:{cls.service.server_port}",
            "127.0.0.1:3000": wheelhouse,
        }.items():
            assert standing_in in example, standing_in
            example = example.replace(standing_in, real)
        places = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        return f"pid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{places}{example}}}\n"

    @classmethod
    def wait_until_ready(cls, folder):
        end = time.monotonic() + READY_WITHIN_SECONDS
        while time.monotonic() < end and cls.nginx.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", cls.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("nginx did not start: " + (folder / "error.log").read_text())

    @classmethod
    def tearDownClass(cls):
        cls.nginx.terminate()
        cls.nginx.wait()
        cls.service.shutdown()
        cls.service.server_close()
        cls.folder.cleanup()

    def ask(self, method, key=None, headers=None):
        headers = dict(headers or {})
        if key:
            headers["Authorization"] = "Bearer " + os.environ[f"WHEELHOUSE_KEY_{key}"]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, "/tasks/1", body="{}" if method == "POST" else None, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body

    def test_without_a_key_nobody_gets_through(self):
        answer, _ = self.ask("GET")
        self.assertEqual(answer.status, 401)
        self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Bearer"))

    def test_a_key_without_the_scope_does_not_get_through(self):
        self.assertEqual(self.ask("GET", "NONE")[0].status, 403)
        self.assertEqual(self.ask("POST", "READ")[0].status, 403)

    def test_a_key_with_the_scope_gets_through_and_is_named_to_the_service(self):
        answer, body = self.ask("GET", "READ")
        self.assertEqual(answer.status, 200)
        seen = json.loads(body)
        self.assertTrue(seen["x-wheelhouse-key-id"].startswith("key_"))
        self.assertTrue(seen["x-wheelhouse-workspace"].startswith("ws_"))
        self.assertEqual(seen["x-wheelhouse-type"], "live")
        self.assertEqual(seen["x-wheelhouse-scopes"], "tasks:read")
        self.assertNotIn("authorization", seen)
        self.assertEqual(self.ask("POST", "WRITE")[0].status, 200)

    def test_what_a_client_claims_to_be_is_replaced(self):
        _, body = self.ask("GET", "READ", {"X-Wheelhouse-Workspace": "ws_other", "X-Wheelhouse-Scopes": "everything"})
        seen = json.loads(body)
        self.assertNotEqual(seen["x-wheelhouse-workspace"], "ws_other")
        self.assertEqual(seen["x-wheelhouse-scopes"], "tasks:read")


if __name__ == "__main__":
    unittest.main()

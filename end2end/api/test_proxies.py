"""The configurations in docs/proxy.md, in a real nginx, Caddy and HAProxy, between browsers and Wheelhouse.

WHEELHOUSE_PROGRAM names the program. Each proxy gets a Wheelhouse of its own, with the demo's people, and speaks TLS with
a certificate made here.
"""

import http.client
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import unittest
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_WITHIN_SECONDS = 20
# How soon something live has to arrive.
LIVE_WITHIN_SECONDS = 2
HOST = "settings.example.com"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def example(language):
    return re.search(rf"```{language}\n(.*?)```", (ROOT / "docs/proxy.md").read_text(), re.S).group(1)


def replaced(text, pairs):
    for standing_in, real in pairs.items():
        assert standing_in in text, standing_in
        text = text.replace(standing_in, real)
    return text


class Behind:
    """What has to work behind every proxy."""

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="wheelhouse-proxy-")
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.port, cls.inner = free_port(), free_port()
        cls.certificate, cls.key = cls.folder / "cert.pem", cls.folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            + ["-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
            + ["-keyout", cls.key, "-out", cls.certificate],
            check=True,
            capture_output=True,
        )
        cls.url = f"https://{HOST}:{cls.port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("WHEELHOUSE_")}
        environment |= {
            "WHEELHOUSE_ADDR": f"127.0.0.1:{cls.inner}",
            "WHEELHOUSE_DATABASE_URL": f"sqlite://{cls.folder}/wheelhouse.db",
            "WHEELHOUSE_PUBLIC_URL": cls.url,
            "WHEELHOUSE_TRUSTED_PROXIES": "127.0.0.1",
            "WHEELHOUSE_LOG": "warn",
        }
        cls.log = open(cls.folder / "server.log", "wb")
        cls.processes = [
            subprocess.Popen([os.environ["WHEELHOUSE_PROGRAM"], "serve", "--demo"], env=environment, stdout=cls.log)
        ]
        try:
            cls.wait_for(cls.inner)
            cls.processes.append(cls.start())
            cls.wait_for(cls.port)
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def wait_for(cls, port):
        end = time.monotonic() + READY_WITHIN_SECONDS
        while time.monotonic() < end and cls.processes[-1].poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("did not start: " + str(cls.processes[-1].args))

    @classmethod
    def tearDownClass(cls):
        for process in reversed(cls.processes):
            process.terminate()
            process.wait()
        cls.log.close()
        cls.temporary.cleanup()

    def connect(self, timeout=10):
        trust = ssl.create_default_context(cafile=str(self.certificate))
        connection = http.client.HTTPSConnection(HOST, self.port, timeout=timeout, context=trust)
        # The name is the certificate's; the address is this machine's.
        connection._create_connection = lambda _, *rest: socket.create_connection(("127.0.0.1", self.port), *rest)
        self.addCleanup(connection.close)
        return connection

    def ask(self, method, path, fields=None, cookie=None):
        headers = {"Accept": "text/html"}
        if cookie:
            headers["Cookie"] = cookie
        body = None
        if fields is not None:
            body = urllib.parse.urlencode(fields)
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.url}
        connection = self.connect()
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read().decode()

    def sign_in(self):
        fields = {"form[email]": "mia@acme.example", "form[password]": "correct horse battery staple"}
        answer, _ = self.ask("POST", "/fn/sign_in", fields)
        self.assertEqual(answer.status, 303)
        cookies = [value.split(";")[0] for value in answer.headers.get_all("Set-Cookie")]
        return next(cookie for cookie in cookies if cookie.startswith("__Host-wheelhouse_session="))

    def test_somebody_signs_in_and_sees_a_page(self):
        answer, page = self.ask("GET", "/w/acme/settings/account", cookie=self.sign_in())
        self.assertEqual(answer.status, 200)
        self.assertIn("mia@acme.example", page)

    def test_counters_are_not_for_the_world(self):
        self.assertEqual(self.ask("GET", "/metrics")[0].status, 404)
        self.assertEqual(self.ask("GET", "/readyz")[0].status, 200)

    def test_live_updates_arrive_at_once(self):
        cookie = self.sign_in()
        connection = self.connect(timeout=LIVE_WITHIN_SECONDS)
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "gzip, deflate, br, zstd", "Cookie": cookie}
        connection.request("GET", "/live", headers=headers)
        # Each of these fails by itself when nothing comes in time.
        stream = connection.getresponse()
        self.assertEqual(stream.status, 200)
        self.assertIsNone(stream.headers["Content-Encoding"])
        self.assertEqual(self.event(stream), ["id: live"])
        for state in ("false", "true"):
            fields = {"_form": "contacts.email", "switch": "contacts.email", "on": state}
            answer, _ = self.ask("POST", "/fn/set_notification", fields, cookie)
            self.assertEqual(answer.status, 303)
            said = time.monotonic()
            # The demo's events are dispatched meanwhile: other hints may come before.
            while "data: preferences" not in self.event(stream):
                pass
            self.assertLess(time.monotonic() - said, LIVE_WITHIN_SECONDS)

    @staticmethod
    def event(stream):
        lines = []
        while line := stream.readline().decode().rstrip("\n"):
            lines.append(line)
        return lines


class Nginx(Behind, unittest.TestCase):
    @classmethod
    def start(cls):
        server = replaced(
            example("nginx"),
            {
                "listen 443 ssl": f"listen 127.0.0.1:{cls.port} ssl",
                f"/etc/ssl/{HOST}.pem": str(cls.certificate),
                f"/etc/ssl/{HOST}.key": str(cls.key),
                "127.0.0.1:3000": f"127.0.0.1:{cls.inner}",
            },
        )
        folder = cls.folder
        places = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        configuration = folder / "nginx.conf"
        configuration.write_text(
            f"pid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{places}{server}}}\n"
        )
        return subprocess.Popen(
            ["nginx", "-p", folder, "-c", configuration, "-e", folder / "error.log", "-g", "daemon off;"]
        )


class Caddy(Behind, unittest.TestCase):
    @classmethod
    def start(cls):
        site = replaced(
            example("caddyfile"),
            {
                # With a certificate of our own, and without asking anybody for one.
                f"{HOST} {{": f"https://{HOST}:{cls.port} {{\n\tbind 127.0.0.1\n\ttls {cls.certificate} {cls.key}",
                "127.0.0.1:3000": f"127.0.0.1:{cls.inner}",
            },
        )
        configuration = cls.folder / "Caddyfile"
        configuration.write_text(
            "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n\tlog {\n\t\tlevel ERROR\n\t}\n}\n" + site
        )
        environment = os.environ | {"HOME": str(cls.folder), "XDG_DATA_HOME": str(cls.folder)}
        return subprocess.Popen(
            ["caddy", "run", "--config", configuration, "--adapter", "caddyfile"], env=environment
        )


class Haproxy(Behind, unittest.TestCase):
    @classmethod
    def start(cls):
        both = cls.folder / "both.pem"
        both.write_bytes(cls.certificate.read_bytes() + cls.key.read_bytes())
        both.chmod(0o600)
        proxy = replaced(
            example("haproxy"),
            {
                "bind :443": f"bind 127.0.0.1:{cls.port}",
                f"/etc/haproxy/{HOST}.pem": str(both),
                "127.0.0.1:3000": f"127.0.0.1:{cls.inner}",
            },
        )
        configuration = cls.folder / "haproxy.cfg"
        configuration.write_text(proxy)
        return subprocess.Popen([shutil.which("haproxy"), "-db", "-f", configuration])


if __name__ == "__main__":
    unittest.main()

"""The samples of docs/webhooks.md, each run in its language, against a delivery of a running server.

WHEELHOUSE_URL names a server that may send to 127.0.0.66; WHEELHOUSE_KEY is one of its keys that may manage webhooks.
Node.js and Python are always there. Of Ruby, Go and PHP those are run that are installed, and the others are named.
"""

import datetime
import http.server
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request

from standardwebhooks.webhooks import Webhook

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARRIVES_WITHIN_SECONDS = 20
RUNS_WITHIN_SECONDS = 60

# A sample as the doc shows it, with what a reader has around it. Each is given WEBHOOK_SECRET, HEADERS (as JSON) and BODY,
# and says "genuine" of a delivery that is.
PROGRAMS = {
    "js": """
        const headers = JSON.parse(process.env.HEADERS), rawBody = process.env.BODY;
        {sample}
        if (event.id === headers["webhook-id"]) console.log("genuine");
    """,
    "python": """
        import json, os
        headers, raw_body = json.loads(os.environ["HEADERS"]), os.environ["BODY"]
        {sample}
        if event["id"] == headers["webhook-id"]: print("genuine")
    """,
    "ruby": """
        {sample}
        require "json"
        puts "genuine" if genuine?(ENV["WEBHOOK_SECRET"], JSON.parse(ENV["HEADERS"]), ENV["BODY"])
    """,
    "go": """
        package main
        import ("encoding/json"; "os")
        {sample}
        func main() {{
            var given map[string]string
            json.Unmarshal([]byte(os.Getenv("HEADERS")), &given)
            headers := http.Header{{}}
            for name, value := range given {{ headers.Set(name, value) }}
            if genuine(os.Getenv("WEBHOOK_SECRET"), headers, []byte(os.Getenv("BODY"))) {{ fmt.Println("genuine") }}
        }}
    """,
    "php": """
        <?php
        {sample}
        $headers = json_decode(getenv('HEADERS'), true);
        if (genuine(getenv('WEBHOOK_SECRET'), $headers, getenv('BODY'))) echo "genuine";
    """,
}


def sample(language):
    return re.search(rf"```{language}\n(.*?)```", (ROOT / "docs/webhooks.md").read_text(), re.S).group(1)


def program(language):
    """The template with the sample in its place, at the sample's own indentation."""
    lines = []
    for line in PROGRAMS[language].strip("\n").splitlines():
        line = line.removeprefix(" " * 8)
        lines.append(sample(language) if line == "{sample}" else line.replace("{{", "{").replace("}}", "}"))
    return "\n".join(lines)


class Receiver(http.server.BaseHTTPRequestHandler):
    arrived = queue.Queue()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.arrived.put(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def ask(path, body):
    request = urllib.request.Request(
        os.environ["WHEELHOUSE_URL"] + "/api/v1" + path,
        data=json.dumps(body).encode(),
        headers={"Authorization": "Bearer " + os.environ["WHEELHOUSE_KEY"], "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


class Samples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        receiver = http.server.ThreadingHTTPServer(("127.0.0.66", 0), Receiver)
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        cls.addClassCleanup(receiver.server_close)
        cls.addClassCleanup(receiver.shutdown)
        folder = tempfile.TemporaryDirectory(prefix="wheelhouse-samples-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)

        # The type keeps away what it would hear of itself.
        webhook = ask("/webhooks", {"url": f"http://127.0.0.66:{receiver.server_port}/", "event_types": ["system.incident"]})
        deliveries = []
        for rotated in (False, True):
            if rotated:
                new = ask(f"/webhooks/{webhook['id']}/rotate-secret", {})
            ask(f"/webhooks/{webhook['id']}/test", {"event_type": "system.incident"})
            deliveries.append(Receiver.arrived.get(timeout=ARRIVES_WITHIN_SECONDS))
        (alone, body), (both, later_body) = deliveries
        assert len(alone["webhook-signature"].split()) == 1 and len(both["webhook-signature"].split()) == 2
        old, new = webhook["secret"], new["secret"]

        def signed_at(seconds_from_now):
            """As the server would have signed it then; by a library that is not ours."""
            at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds_from_now)
            signature = Webhook(old).sign(alone["webhook-id"], at, body)
            return {**alone, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}

        forged = alone["webhook-signature"].replace("v1,", "v1,A")[:-1]
        cls.cases = [
            ("as it came", True, old, alone, body),
            ("during a rotation, with the new secret", True, new, both, later_body),
            ("during a rotation, with the old secret", True, old, both, later_body),
            ("four minutes old", True, old, signed_at(-240), body),
            ("six minutes old", False, old, signed_at(-360), body),
            ("six minutes ahead", False, old, signed_at(360), body),
            ("with another body", False, old, alone, body + " "),
            ("with another secret", False, new, alone, body),
            ("with another id", False, old, {**alone, "webhook-id": "evt_other"}, body),
            ("with a forged signature", False, old, {**alone, "webhook-signature": forged}, body),
            ("with another version's signature", False, old, {**alone, "webhook-signature": alone["webhook-signature"].replace("v1,", "v2,")}, body),
            ("with no header of ours", False, old, {"content-type": "application/json"}, body),
        ]

    def verify(self, *command, cwd=None):
        for name, genuine, secret, headers, body in self.cases:
            with self.subTest(name):
                given = {"WEBHOOK_SECRET": secret, "HEADERS": json.dumps(headers), "BODY": body, "LC_ALL": "C.UTF-8"}
                ran = subprocess.run(
                    command, cwd=cwd, env={**os.environ, **given}, capture_output=True, text=True, timeout=RUNS_WITHIN_SECONDS
                )
                self.assertEqual(ran.stdout.strip() == "genuine", genuine, ran.stdout + ran.stderr)
                if genuine:
                    self.assertEqual(ran.stderr, "")

    def write(self, name, language):
        path = self.folder / name
        path.write_text(program(language))
        return path

    def need(self, tool):
        if not shutil.which(tool):
            self.skipTest(f"{tool} is not installed")
        return tool

    def test_javascript(self):
        # Where it runs is where it looks for its library.
        self.verify("node", "--input-type=module", "--eval", program("js"), cwd=ROOT / "end2end")

    def test_python(self):
        self.verify(sys.executable, self.write("sample.py", "python"))

    def test_ruby(self):
        self.verify(self.need("ruby"), "-w", self.write("sample.rb", "ruby"))

    def test_go(self):
        self.need("go")
        built = self.folder / "sample"
        cache = {"GOCACHE": str(self.folder / "cache"), "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
        subprocess.run(["go", "build", "-o", built, self.write("sample.go", "go")], env={**os.environ, **cache}, check=True)
        self.verify(built)

    def test_php(self):
        self.verify(self.need("php"), "-d", "error_reporting=-1", "-d", "display_errors=stderr", self.write("sample.php", "php"))


if __name__ == "__main__":
    unittest.main()

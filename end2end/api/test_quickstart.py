"""docs/quickstart.md, run to the letter in one shell: each sh block must succeed and say what stands behind it.

WHEELHOUSE_URL names a server with demo data that may send to 127.0.0.1, WHEELHOUSE_PROGRAM its program, whose database
the environment names. In what is expected, "…" stands for anything within a line.
"""

import os
import pathlib
import re
import socket
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENDS_WITHIN_SECONDS = 120
# Printed between the blocks, to tell apart what each of them says.
END = "---- end of block"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def blocks():
    """Commands, and what they are to say, or None where the page does not tell."""
    fences = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "docs/quickstart.md").read_text(), re.S | re.M)
    for at, (language, text) in enumerate(fences):
        if language == "sh":
            follows, said = fences[at + 1] if at + 1 < len(fences) else ("", "")
            yield text, said if follows in ("json", "text") else None


def expression(said):
    return re.escape(said.strip()).replace("…", ".*")


class Quickstart(unittest.TestCase):
    def test_every_command_does_what_the_page_says(self):
        self.assertGreater(len(list(blocks())), 8)
        with tempfile.TemporaryDirectory(prefix="wheelhouse-quickstart-") as folder:
            # Where the server is and its program's name are this machine's; all else is the page's.
            programs = pathlib.Path(folder) / "bin"
            programs.mkdir()
            (programs / "wheelhouse").symlink_to(os.environ["WHEELHOUSE_PROGRAM"])
            script = "".join(f"{commands}echo '{END}'\n" for commands, _ in blocks())
            script = script.replace("http://127.0.0.1:3000", os.environ["WHEELHOUSE_URL"])
            script = script.replace("8787", str(free_port()))
            path = f"{programs}:{os.environ['PATH']}"
            ran = subprocess.run(
                # With the receiver's output in a file, nothing outlives the shell.
                ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"],
                cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=ENDS_WITHIN_SECONDS,
            )
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        said = ran.stdout.split(END + "\n")
        for (commands, expected), got in zip(blocks(), said):
            if expected is not None:
                with self.subTest(commands):
                    self.assertRegex(got.strip(), f"^{expression(expected)}$")


if __name__ == "__main__":
    unittest.main()

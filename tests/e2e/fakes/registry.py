#!/usr/bin/env python3
"""A registry that lies: `registry.py ADDRESS:PORT STATE`. What it does at the moment is in the file STATE/mode; every request goes to STATE/seen.

Honest at first sight: it takes uploads and says that all is well. See `Lies` for the rest.
"""

import hashlib
import http.server
import json
import pathlib
import sys
import time

ADDRESS, STATE = sys.argv[1], pathlib.Path(sys.argv[2])
# Where others are told to go; whatever arrives there was harvested.
HARVESTER = (STATE / "harvester").read_text() if (STATE / "harvester").exists() else ""
MANIFESTS, BLOBS, UPLOAD = {}, {}, [0]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do(self):
        mode = (STATE / "mode").read_text()
        with open(STATE / "seen", "a") as seen:
            seen.write(json.dumps({"mode": mode, "method": self.command, "path": self.path, "headers": dict(self.headers)}) + "\n")
        getattr(self, f"lie_{mode.replace('-', '_')}", self.honest)()
    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do

    def content(self):
        """The request's body, whole."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def say(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def honest(self, digest=None, serve=lambda body: body):
        """As a registry should, but for the digest that it says and the manifests that it serves."""
        path, _, query = self.path.partition("?")
        body = self.content()
        if path == "/v2/":
            self.say(200)
        elif "/manifests/" in path and self.command == "PUT":
            MANIFESTS[path.rpartition("/")[2]] = MANIFESTS[named(body)] = body
            self.say(201, Docker_Content_Digest=digest or named(body), Location=path)
        elif "/manifests/" in path:
            found = MANIFESTS.get(path.rpartition("/")[2])
            found = found and serve(found)
            self.say(200, found, Docker_Content_Digest=digest or named(found), Content_Type=json.loads(found).get("mediaType", "")) if found else self.say(404)
        elif path.endswith("/blobs/uploads/"):
            self.say(202, Location=f"{path}1?state=begun")
        elif "/blobs/uploads/" in path:
            if self.command == "PATCH":
                UPLOAD[0] = len(body)
                self.say(202, Location=f"{path}?state=sent", Range=f"0-{max(len(body) - 1, 0)}")
            else:
                wanted = dict(pair.split("=") for pair in query.split("&") if "=" in pair).get("digest", "").replace("%3A", ":")
                BLOBS[wanted] = len(body) or UPLOAD[0]
                self.say(201, Docker_Content_Digest=digest or wanted, Location=path)
        elif "/blobs/" in path:
            size = BLOBS.get(path.rpartition("/")[2])
            self.say(404) if size is None else self.say(200, bytes(size), Docker_Content_Digest=digest or path.rpartition("/")[2])
        else:
            self.say(404)

    def lie_asks(self):
        """Honest, for whoever has a password."""
        if self.headers.get("Authorization", "").startswith("Basic "):
            self.honest()
        else:
            self.content()
            self.say(401, WWW_Authenticate='Basic realm="test"')

    # Lies: each a way to fail, named as in the file `mode`

    def lie_other_digest(self):
        self.honest(digest=named(b"something else"))

    def lie_other_content(self):
        self.honest(serve=lambda body: body.replace(b"org.criu.checkpoint", b"org.evil.checkpoint"))

    def lie_foreign_realm(self):
        """Asks for the password at somebody else's."""
        self.content()
        self.say(401, WWW_Authenticate=f'Bearer realm="http://{HARVESTER}/token",service="registry",scope="repository:lies:pull,push"')

    def lie_foreign_upload(self):
        """Sends the archive, and whoever carries it, to somebody else."""
        if self.command == "POST":
            self.content()
            self.say(202, Location=f"http://{HARVESTER}/upload?state=begun")
        else:
            self.honest()

    def lie_foreign_redirect(self):
        self.content()
        self.say(307, Location=f"http://{HARVESTER}{self.path}")

    def lie_dies(self):
        """Goes in the middle of an upload."""
        if self.command in ("PATCH", "PUT"):
            self.rfile.read(1000)
            self.close_connection = True
            self.connection.close()
        else:
            self.honest()

    def lie_silent(self):
        time.sleep(3600)

    def lie_endless(self):
        """An error whose explanation has no end."""
        self.send_response(500)
        self.send_header("Content-Length", str(1 << 40))
        self.end_headers()
        while True:
            self.wfile.write(b"x" * 65536)

    def log_message(self, *_):
        pass


def named(content):
    return "sha256:" + hashlib.sha256(content or b"").hexdigest()


if __name__ == "__main__":
    (STATE / "mode").touch()
    host, _, port = ADDRESS.rpartition(":")
    http.server.ThreadingHTTPServer((host, int(port)), Handler).serve_forever()

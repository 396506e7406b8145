"""A server that does what Hugging Face's hub does, as far as sending and fetching of a folder need it."""

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def serving():
    """The address of a hub that is empty at first, and its files by repository."""
    repos, blobs = {}, {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, content=None, status=200, *, body=None, **headers):
            body = json.dumps(content).encode() if body is None else body
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def received(self):
            length = self.headers.get("Content-Length")
            return self.rfile.read(int(length)) if length else b""

        def files(self, parts):
            return repos.get("/".join(parts))

        def do_GET(self):
            parts = self.path.partition("?")[0].strip("/").split("/")
            if parts[:2] == ["api", "models"]:
                files = self.files(parts[2:4])
                if files is None:
                    self.answer({"error": "Repository not found"}, 404, X_Error_Code="RepoNotFound")
                    return
                if "tree" in parts:
                    rows = [
                        {"type": "file", "path": name, "size": len(data), "oid": "0"} for name, data in files.items()
                    ]
                    self.answer(rows)
                    return
                listed = [{"rfilename": name} for name in files]
                self.answer({"id": "/".join(parts[2:4]), "sha": "c" * 40, "siblings": listed, "private": False})
            elif "resolve" in parts:
                files = self.files(parts[:2]) or {}
                data = files.get("/".join(parts[4:]))
                if data is None:
                    self.answer({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound")
                    return
                etag = f'"{hashlib.sha256(data).hexdigest()}"'
                self.answer(body=data, ETag=etag, X_Repo_Commit="c" * 40, Accept_Ranges="bytes")
            else:
                self.answer({}, 404)

        do_HEAD = do_GET  # noqa: N815

        def do_PUT(self):
            blobs[self.path.rpartition("/")[2]] = self.received()
            self.answer({})

        def do_POST(self):
            body, path = self.received(), self.path.partition("?")[0]
            here = f"http://{self.headers['Host']}"
            if self.headers.get("Authorization") != "Bearer hf_token":
                self.answer({"error": "Invalid username or password."}, 401)
            elif path == "/api/repos/create":
                wanted = json.loads(body)
                name = f"{wanted['organization']}/{wanted['name']}"
                repos.setdefault(name, {})
                self.answer({"url": f"{here}/{name}", "id": name})
            elif path == "/api/validate-yaml":
                self.answer({"errors": [], "warnings": []})
            elif "/preupload/" in path:
                kinds = ((file["path"], "lfs" if file["path"].endswith(".safetensors") else "regular")
                         for file in json.loads(body)["files"])  # fmt: skip
                self.answer(
                    {"files": [{"path": path, "uploadMode": kind, "shouldIgnore": False} for path, kind in kinds]}
                )
            elif path.endswith("/info/lfs/objects/batch"):
                objects = [
                    {**one, "actions": {"upload": {"href": f"{here}/blobs/{one['oid']}"}}}
                    for one in json.loads(body)["objects"]
                ]
                self.answer({"transfer": "basic", "objects": objects})
            elif "/commit/" in path:
                name = "/".join(path.split("/")[3:5])
                files = repos[name]
                for line in map(json.loads, body.splitlines()):
                    value = line["value"]
                    if line["key"] == "file":
                        files[value["path"]] = base64.b64decode(value["content"])
                    elif line["key"] == "lfsFile":
                        files[value["path"]] = blobs[value["oid"]]
                self.answer({"commitUrl": f"{here}/{name}/commit/{'c' * 40}", "commitOid": "c" * 40, "hookOutput": ""})
            else:
                self.answer({}, 404)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", repos
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

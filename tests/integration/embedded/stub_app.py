"""Stands for the app's verbs: `sandbox`, `bot` and `worker` answer on their ports; failures on demand."""

import http.server
import json
import os
import subprocess
import sys


def serve(port: str) -> None:
    class Ready(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", int(port)), Ready)
    if sys.argv[1] == "sandbox":
        print(f"ready http://127.0.0.1:{port}", flush=True)
    server.serve_forever()


verb = sys.argv[1]
if verb in ("migrate", "bot", "worker"):
    os.environ.update(json.loads(sys.stdin.readline() or sys.exit()))
if os.environ.get("STUB_FAILS") == verb:
    sys.exit(f"aisha: {verb} cannot")
match verb:
    case "sandbox":
        serve(sys.argv[sys.argv.index("--port") + 1])
    case "bot":
        serve(os.environ["AISHA_HEALTH_PORT"])
    case "worker":
        subprocess.Popen(["sleep", "300"], process_group=0)  # as RQ's work-horses do
        serve(os.environ["AISHA_WORKER_METRICS_PORT"])
    case _:
        print(f"{verb} done", flush=True)

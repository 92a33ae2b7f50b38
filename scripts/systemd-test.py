"""What scripts/systemd-test does inside: uses the units as an operator does, and tells what it sees."""

import csv
import ctypes
import glob
import http.client
import os
import subprocess
import sys
import threading
import time

RESTARTS = int(sys.argv[1])
FILE = "/etc/tidegate/tidegate.toml"


def run(*command, code=0):
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}\n{journal()}"
    return done.stdout


def journal():
    return subprocess.run(["journalctl", "-u", "tidegate", "--no-pager", "-o", "cat"],
                          capture_output=True, text=True).stdout


def shown(name):
    return run("systemctl", "show", "-P", name, "tidegate.service").strip()


def until(what, look):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise SystemExit(f"in vain: {what}\n{journal()}")


class Load:
    """Clients that ask on kept and on new connections until told to stop."""

    def __init__(self, count):
        self.over, self.answers, self.failures, self.longest = False, 0, [], 0.0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.ask, args=(n % 2 == 0,), daemon=True)
                        for n in range(count)]
        for thread in self.threads:
            thread.start()

    def ask(self, keeps):
        kept = None
        while not self.over:
            began = time.monotonic()
            connection, is_kept = kept or http.client.HTTPConnection("127.0.0.1", 9090, timeout=60), bool(kept)
            kept = None
            try:
                connection.request("GET", "/", headers={} if keeps else {"Connection": "close"})
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200, answer.status
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
                # An idle connection may be closed at any time.
                if not is_kept:
                    self.failures.append(error)
                continue
            except Exception as error:
                self.failures.append(error)
                continue
            if keeps and not answer.will_close:
                kept = connection
            else:
                connection.close()
            with self.lock:
                self.answers += 1
                self.longest = max(self.longest, time.monotonic() - began)

    def more(self):
        before = self.answers
        until("answers", lambda: self.answers > before + 200)

    def stop(self):
        self.over = True
        for thread in self.threads:
            thread.join()
        assert not self.failures, self.failures[:5]


def rows():
    count = 0
    for path in glob.glob("/var/log/tidegate/access*.csv"):
        with open(path, newline="") as file:
            count += sum(1 for _ in csv.DictReader(file))
    return count


def hold(thread):
    """Stops one thread as a debugger does, until its process ends."""
    if os.fork() != 0:
        return
    libc, any_child = ctypes.CDLL(None, use_errno=True), 0x40000000  # __WALL
    for request in 0x4206, 0x4207:  # PTRACE_SEIZE, PTRACE_INTERRUPT
        assert libc.ptrace(request, thread, None, None) == 0, os.strerror(ctypes.get_errno())
    while not os.WIFSIGNALED(os.waitpid(thread, any_child)[1]):
        pass
    os._exit(0)


def thread_of(pid, name):
    for task in os.listdir(f"/proc/{pid}/task"):
        if open(f"/proc/{pid}/task/{task}/comm").read().strip() == name:
            return int(task)
    raise SystemExit(f"no thread {name}")


backends = [subprocess.Popen(["tidegate-backend", "--port", str(port), "--service", "fixed:1ms"], stdout=subprocess.DEVNULL)
            for port in (8081, 8082)]
print(run("systemctl", "--version").splitlines()[0])
run("systemctl", "start", "tidegate.socket")
assert shown("ActiveState") == "inactive"

# The first client has the proxy started.
load = Load(8)
load.more()
assert shown("ActiveState") == "active" and shown("StatusText") == "serving with 2 upstreams"
print("started by the first client:", shown("StatusText"))
status = open(f"/proc/{shown('MainPID')}/status").read()
print("runs as", [line for line in status.splitlines() if line.startswith(("Uid", "CapEff", "Seccomp:"))])
assert "not confined" not in journal(), "Landlock is permitted by the unit"

with open(FILE) as file:
    text = file.read()
with open(FILE, "w") as file:
    file.write("body-timeout = '9s'\n" + text)
run("systemctl", "reload", "tidegate")
until("the reload", lambda: "changed body-timeout" in shown("StatusText"))
print("reload:", shown("StatusText"))
with open(FILE, "w") as file:
    file.write("body-timeout = 9\n" + text)
run("systemctl", "reload", "tidegate", code=1)
print("reload of a wrong file: fails,", [line for line in journal().splitlines() if "body-timeout" in line][-1])
with open(FILE, "w") as file:
    file.write(text)
run("tidegatectl", "reload")

for _ in range(RESTARTS):
    before = shown("MainPID")
    run("systemctl", "restart", "tidegate.service")
    assert shown("MainPID") != before
    load.more()
load.stop()
run("systemctl", "stop", "tidegate.socket", "tidegate.service")
print(f"{RESTARTS} restarts under load: {load.answers} answers, {len(load.failures)} failures,",
      f"{rows()} rows, longest wait {load.longest:.3f} s")
assert rows() == load.answers
lost = [line for line in journal().splitlines() if line.endswith("rows lost")]
assert lost and all(line.endswith(" 0 rows lost") for line in lost), lost
assert glob.glob("/run/tidegate/*.sock") == [], "systemd removes its sockets"

# A worker that hangs.
os.makedirs("/run/systemd/system/tidegate.service.d", exist_ok=True)
with open("/run/systemd/system/tidegate.service.d/watchdog.conf", "w") as file:
    file.write("[Service]\nWatchdogSec=4\n")
run("systemctl", "daemon-reload")
run("systemctl", "start", "tidegate.socket", "tidegate.service")
pid = int(shown("MainPID"))
time.sleep(6)
assert shown("NRestarts") == "0", "it is fed"
began = time.monotonic()
hold(thread_of(pid, "worker-1"))
until("another process", lambda: shown("NRestarts") == "1" and shown("ActiveState") == "active")
print(f"a worker that hangs: another process after {time.monotonic() - began:.1f} s (WatchdogSec=4)")
connection = http.client.HTTPConnection("127.0.0.1", 9090, timeout=30)
connection.request("GET", "/")
assert connection.getresponse().status == 200

print(run("systemd-analyze", "security", "--no-pager", "tidegate.service").splitlines()[-1])
run("systemctl", "stop", "tidegate.socket", "tidegate.service")
for backend in backends:
    backend.kill()
print("all well")

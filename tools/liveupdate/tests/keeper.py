#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""keeper.py LUOCTL DIRECTORY

Try luoctl keeper and its clients, with a kernel and a service manager that are made up.
LUOCTL is one that is linked with fake-libluo.c, and finds sessions in DIRECTORY/sysfs.
Prints "ok WHAT" and "not ok WHAT". As root it tries several users as well.
"""
import errno
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from fake_kernel import DIR, Kernel, inode

LUOCTL = os.path.abspath(sys.argv[1])
USER = 12345
failed = False


def check(what, good, *why):
    global failed
    failed = failed or not good
    print("ok" if good else "not ok", what, *([] if good else why), flush=True)


def check_eq(what, expected, got):
    check(what, expected == got, f"expected {expected!r}, got {got!r}")


def eventually(function, seconds=10):
    end = time.monotonic() + seconds
    while not function():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


class Manager(threading.Thread):
    """A service manager, with a store for files."""

    def __init__(self):
        super().__init__(daemon=True)
        self.path = DIR + "/notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.lock = threading.Lock()
        self.store = []
        self.closing = 0        # files that are given up, but open
        self.close_after = 0
        self.kill_on = None     # a key, the end of a name, and the process to kill then
        self.ready = 0
        self.start()

    def run(self):
        while True:
            data, fds, _, _ = socket.recv_fds(self.socket, 8192, 64)
            values = dict(line.split("=", 1) for line in data.decode().splitlines())
            with self.lock:
                name = values.get("FDNAME", "stored")
                self.ready += "READY" in values
                if "FDSTORE" in values:
                    for fd in fds:
                        if any(inode(fd) == inode(old) for _, old in self.store):
                            os.close(fd)
                        else:
                            self.store.append((name, fd))
                    fds = []
                if "FDSTOREREMOVE" in values:
                    for entry in [entry for entry in self.store if entry[0] == name]:
                        self.store.remove(entry)
                        self.closing += 1
                        if self.close_after:
                            threading.Timer(self.close_after, self.close, [entry[1]]).start()
                        else:
                            self.close(entry[1])
                for fd in fds:
                    os.close(fd)
                if self.kill_on and self.kill_on[0] in values and name.endswith(self.kill_on[1]):
                    self.kill_on[2].kill()
                    self.kill_on = None

    def close(self, fd):
        os.close(fd)
        self.closing -= 1

    def clear(self):
        with self.lock:
            for _, fd in self.store:
                os.close(fd)
            self.store = []


kernel = None
manager = None
environment = dict(os.environ, FAKE_LUO=DIR + "/luo", LUO_KEEPER=DIR + "/socket")
log = None


def start_keeper(managed=True, wait=True, args=()):
    """Start a keeper, as a service or without a service manager."""
    env = dict(environment)
    fds = []
    if managed:
        env["NOTIFY_SOCKET"] = manager.path
        with manager.lock:
            fds = [(name, os.dup(fd)) for name, fd in manager.store]
    if fds:
        env["LISTEN_FDS"] = str(len(fds))
        env["LISTEN_FDNAMES"] = ":".join(name for name, _ in fds)

    def place():
        high = [os.dup(fd) if fd > 1000 else os.dup2(fd, 1000 + i)
                for i, (_, fd) in enumerate(fds)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i)
        os.closerange(3 + len(fds), 4000)
        if fds:
            os.environ["LISTEN_PID"] = str(os.getpid())

    ready = manager.ready
    command = [LUOCTL, "keeper", *args]
    # The shell knows its own number, which is that of the keeper.
    keeper = subprocess.Popen(["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *command],
                              env=env, preexec_fn=place, close_fds=False,
                              stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    for _, fd in fds:
        os.close(fd)
    if wait and managed:
        eventually(lambda: manager.ready > ready or keeper.poll() is not None, 60)
    elif wait:
        eventually(lambda: os.path.exists(DIR + "/socket") and
                   luoctl("list", "--kept").returncode == 0)
    return keeper


def luoctl(*args, user=None, **kwargs):
    return subprocess.run([LUOCTL, *args], env=environment, user=user, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, **kwargs)


def kept(user=None):
    """What the keeper lists: {(uid, name, fd): (bytes, state)}"""
    result = luoctl("list", "--kept", "--json", user=user)
    if result.returncode:
        return {"error": result.stderr}
    return {(f["uid"], f["name"], f["fd"]): (f["bytes"], f["state"])
            for f in json.loads(result.stdout)["kept"]}


def run_in(name, command, *options, user=None):
    return luoctl("run", name, *options, "--", "/bin/sh", "-c", command, user=user)


def use_for_long(name):
    """A command that has NAME until it is killed."""
    user = subprocess.Popen([LUOCTL, "run", name, "--", "/bin/sh", "-c", "echo; exec sleep 100"],
                            env=environment, stdout=subprocess.PIPE)
    user.stdout.readline()
    return user


def die(process):
    process.kill()
    process.wait()


def exits(what, status, result, *says):
    check_eq(f"{what}: exit status", status, result.returncode)
    for text in says:
        check(f"{what}: it says {text!r}", text in result.stderr, repr(result.stderr))


def raw():
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(DIR + "/socket")
    sock.settimeout(20)
    return sock


def ask(sock, *words, fds=()):
    data = b"".join(str(word).encode() + b"\0" for word in ("luo-keeper 1", *words))
    socket.send_fds(sock, [data], list(fds))
    data, fds, _, _ = socket.recv_fds(sock, 8192, 64)
    return data.decode().split("\0")[:-1], fds


def memfd(content=b"x"):
    fd = os.memfd_create("test")
    os.write(fd, content)
    return fd


UID = os.geteuid()


def without_keeper():
    exits("run without a keeper", 1, run_in("a", "true", "--memfd", "ram=4K"),
          "no keeper runs")
    exits("list without a keeper", 1, luoctl("list", "--kept"))


def usage():
    for option in ("ram", "=4K", "ram=", "ram=0", "ram=4X", "ram=-1", "ram=4K,huge=3K",
                   "ram=4K,huge=2M", "r/m=4K", "ram=99999999999999999999", "ram=4K,", "ram=4KK",
                   "ram=9999999T"):
        check_eq(f"--memfd {option} is refused", 2,
                 run_in("a", "true", "--memfd", option).returncode)
    exits("a memfd twice", 2, run_in("a", "true", "--memfd", "b=4K", "--memfd", "b=4K"))
    exits("put without a number", 2, luoctl("put", "a", "b"))
    exits("put a descriptor that there is not", 1, luoctl("put", "a", "b=77"))
    exits("drop a file of a session", 2, luoctl("drop", "a", "b"))
    for name in ("", "a/b", "a b", "a:b", ".a", "a\n", "ä", "x" * 80):
        exits(f"a name {name!r}", 1, run_in(name, "true", "--memfd", "b=4K"))
    check_eq("nothing is kept of all this", {}, kept())


def use():
    keeper = start_keeper()
    usage()
    with open(f"/proc/{keeper.pid}/cmdline") as file:
        check("the name of its process begins with an @", file.read().startswith("@luoctl\0"))
    check("it runs from memory",
          os.readlink(f"/proc/{keeper.pid}/exe").startswith("/memfd:"))

    result = run_in("a", 'echo "$LISTEN_FDS $LISTEN_FDNAMES $LISTEN_PID $$"; echo content >&3',
                    "--memfd", "ram=1M", "--memfd", "more=4K")
    exits("run", 0, result)
    words = result.stdout.split()
    check_eq("it is given the files", ["2", "ram:more"], words[:2])
    check_eq("they are those of the command", words[2], words[3])
    check_eq("they are kept", {(UID, "a", "ram"): (1 << 20, "kept"),
                               (UID, "a", "more"): (4096, "kept")}, kept())
    result = run_in("a", "head -c 8 /proc/self/fd/3", "--memfd", "ram=1M")
    check_eq("they are the same the next time", "content\n", result.stdout)
    exits("another size", 1, run_in("a", "true", "--memfd", "ram=2M"), "not 2097152")
    check_eq("nothing has changed", (1 << 20, "kept"), kept().get((UID, "a", "ram")))
    exits("a command that there is not", 1, luoctl("run", "a", "--", "/none"))
    check_eq("the status is that of the command", 7, run_in("a", "exit 7").returncode)

    user = use_for_long("a")
    exits("it is in use", 1, run_in("a", "true"), "in use by process")
    exits("put while it is in use", 1, luoctl("put", "a", "b=0"), "in use")
    exits("drop while it is in use", 1, luoctl("drop", "--kept", "a"), "in use")
    exits("another name is not in use", 0, run_in("b", "true", "--memfd", "ram=4K"))
    die(user)
    exits("it is not in use any more", 0, run_in("a", "true"))

    fd = memfd(b"state")
    exits("put", 0, luoctl("put", "a", f"state={fd}", pass_fds=[fd]))
    exits("the same again", 0, luoctl("put", "a", f"state={fd}", pass_fds=[fd]))
    other = memfd()
    exits("the same name again", 1, luoctl("put", "a", f"state={other}", pass_fds=[other]),
          "there is one with this name")
    exits("the same again and another", 0,
          luoctl("put", "a", f"state={fd}", f"again={other}", pass_fds=[fd, other]))
    exits("drop that", 0, luoctl("drop", "--kept", "a", "again"))
    os.close(other)
    exits("the same file again", 1, luoctl("put", "a", f"other={fd}", pass_fds=[fd]),
          "in a session already")
    exits("a file that cannot be kept", 1, luoctl("put", "a", "null=0", stdin=subprocess.DEVNULL),
          "cannot preserve files of this kind")
    other = memfd()
    exits("two files, one of which cannot be kept", 1,
          luoctl("put", "a", f"one={other}", f"two={fd}", pass_fds=[fd, other]))
    check_eq("neither is", 4, len(kept()))
    exits("drop one", 0, luoctl("drop", "--kept", "a", "more"))
    exits("drop one that there is not", 1, luoctl("drop", "--kept", "a", "ram", "more"))
    check("the others are there", sorted(f for _, n, f in kept() if n == "a") == ["ram", "state"])
    exits("drop what there is not", 1, luoctl("drop", "--kept", "none"))
    exits("drop all", 0, luoctl("drop", "--kept", "a"))
    check_eq("only the other name is there", {(UID, "b", "ram"): (4096, "kept")}, kept())
    check_eq("the kernel has one session", ["keeper/%d/b/ram" % UID], kernel.names())
    check_eq("the service manager has its two files", 2, len(manager.store))

    # What is dropped is not held by something that is slow.
    manager.close_after = 0.3
    for i in range(2):
        exits("put it again at once", 0, luoctl("put", "a", f"state={fd}", pass_fds=[fd]))
        exits("drop it", 0, luoctl("drop", "--kept", "a", "state"))
        check_eq("the service manager has closed it", 0, manager.closing)
        check_eq("the kernel has no session of it", ["keeper/%d/b/ram" % UID], kernel.names())
    manager.close_after = 0
    os.close(fd)
    os.close(other)
    return keeper


def signals(keeper):
    keeper.terminate()
    time.sleep(0.3)
    check("SIGTERM does not end it", keeper.poll() is None)
    exits("nothing is lost by that", 0, run_in("b", "true"))
    exits("drop the last one", 0, luoctl("drop", "--kept", "b"))
    keeper.terminate()
    check_eq("SIGTERM ends it when nothing is kept", 0, keeper.wait(10))


def errors():
    keeper = start_keeper()
    for name in "ENOSPC", "EBUSY", "ENOMEM", "EUCLEAN", "EACCES":
        kernel.errors = {"preserve": getattr(errno, name)}
        exits(f"the kernel says {name}", 1, run_in("a", "true", "--memfd", "ram=4K"),
              "ram of a cannot be kept")
        kernel.errors = {}
    kernel.errors = {"create": errno.EBUSY}
    exits("the kernel makes no session", 1, run_in("a", "true", "--memfd", "ram=4K"))
    kernel.errors = {}
    check_eq("nothing is kept", ({}, [], []), (kept(), kernel.names(), manager.store))
    kernel.holds_device = True
    exits("the device is in use all the time", 1, run_in("a", "true", "--memfd", "ram=4K"),
          "another program has /dev/liveupdate open")
    timer = threading.Timer(0.3, lambda: setattr(kernel, "holds_device", False))
    timer.start()
    exits("the device is in use for a moment", 0, run_in("a", "true", "--memfd", "ram=4K"))
    fds = [memfd() for _ in range(64)]
    exits("a name can have 64 files", 1,
          luoctl("put", "a", *(f"f{fd}={fd}" for fd in fds), pass_fds=fds), "no more than 64")
    exits("which are together in one packet", 0,
          luoctl("put", "b", *(f"f{fd}={fd}" for fd in fds), pass_fds=fds))
    check_eq("all of them are given back", "64\n", run_in("b", "echo $LISTEN_FDS").stdout)
    exits("drop 64", 0, luoctl("drop", "--kept", "b"))
    for fd in fds:
        os.close(fd)
    luoctl("drop", "--kept", "a")
    with open(DIR + "/log") as file:
        check("errors are logged", "ram of a cannot be kept" in file.read())
    die(keeper)


def users():
    if UID:
        print("# not root: other users are not tried")
        return
    keeper = start_keeper(args=["--limit", "3", "--memory", "64K", "--memory-of-all", "80K"])
    exits("root", 0, run_in("a", "echo root >&3", "--memfd", "ram=4K"))
    exits("a user with the same name", 0, run_in("a", "echo user >&3", "--memfd", "ram=8K",
                                                 user=USER))
    check_eq("each has its own", ("root\n", "user\n"),
             tuple(run_in("a", "head -n 1 /proc/self/fd/3", user=user).stdout
                   for user in (None, USER)))
    check_eq("a user sees its own", [(USER, "a", "ram")], list(kept(USER)))
    check_eq("root sees all", 2, len(kept()))
    for verb in "run", "put", "drop":
        command = {"run": ("run", "a", "--uid", "0", "--", "/bin/true"),
                   "put": ("put", "--uid", "0", "a", "x=0"),
                   "drop": ("drop", "--kept", "--uid", "0", "a")}[verb]
        exits(f"{verb} of files of root", 1, luoctl(*command, user=USER), "files of user 0")
    check_eq("root can have those of a user", "user\n",
             run_in("a", "head -n 1 /proc/self/fd/3", "--uid", str(USER)).stdout)
    exits("a limit", 1, run_in("b", "true", "--memfd", "a=4K", "--memfd", "b=4K", "--memfd",
                               "c=4K", user=USER), "can have no more files")
    exits("up to the limit", 0, run_in("b", "true", "--memfd", "a=4K", "--memfd", "b=4K",
                                       user=USER))
    exits("it can be no larger", 1, run_in("b", "truncate -s 8K /dev/fd/3", user=USER))
    exits("one gives it up", 0, luoctl("drop", "--kept", "b", "b", user=USER))
    exits("up to the limit of memory", 1, run_in("b", "true", "--memfd", "b=56K", user=USER),
          "the user can have no more memory")
    exits("of another user", 0, run_in("c", "true", "--memfd", "c=64K", user=USER + 1))
    exits("up to the limit of all memory", 1, run_in("b", "true", "--memfd", "b=8K", user=USER),
          "users other than root can have no more memory")
    exits("root has no limit", 0, run_in("c", "true", "--memfd", "c=8M"))
    exits("nor what is there already", 0, run_in("b", "true", "--memfd", "a=4K", user=USER))
    exits("the other user gives it up", 0, luoctl("drop", "--kept", "c", user=USER + 1))
    exits("so does root", 0, luoctl("drop", "--kept", "c"))
    fd = memfd()
    exits("what can grow and not be sealed", 1,
          luoctl("put", "--uid", str(USER), "b", f"x={fd}", pass_fds=[fd]), "MFD_ALLOW_SEALING")
    os.close(fd)
    result = subprocess.run(["/usr/bin/python3", "-c", f"""
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("{DIR}/socket")
s.send(b"luo-keeper 1\\0replace\\0")
print(s.recv(1000).decode())"""], user=USER, stdout=subprocess.PIPE, text=True)
    check("a user cannot replace the keeper", "only root" in result.stdout)
    exits("the keeper goes on", 0, run_in("a", "true"))
    kexec_after(keeper)
    keeper = start_keeper()
    check_eq("the file is the user's in the next kernel", str(USER), run_in(
        "a", "stat -Lc %u /proc/self/fd/3", user=USER).stdout.strip())
    check_eq("it can open it again", "user\n", run_in("a", "head -n 1 /proc/self/fd/3",
                                                      user=USER).stdout)
    for user in None, USER:
        luoctl("drop", "--kept", "a", user=user)
    luoctl("drop", "--kept", "b", user=USER)
    die(keeper)


# What a command that has inherited the connection as descriptor 4 tries.
INHERITED = f"""
import socket
s = socket.socket(fileno=4)
for words in ("drop", "{UID}", "b"), ("get", "{UID}", "b"), ("replace",), ("claim", "{UID}", "b"), \\
             ("list",), ("get", "{UID}", "a"):
    s.send(b"luo-keeper 1\\0" + b"".join(word.encode() + b"\\0" for word in words))
    data, fds, _, _ = socket.recv_fds(s, 8192, 64)
    print(words[0], data.split(b"\\0")[0].decode(), flush=True)
    if words[0] == "list":
        print(open("/proc/self/fd/" + str(fds[0])).read(), end="", flush=True)
"""


def inherited():
    """What a command inherits is good for its own files only."""
    keeper = start_keeper()
    make("a", "a")
    make("b", "b")
    with open(DIR + "/inherited.py", "w") as file:
        file.write(INHERITED)
    command = f"exec /usr/bin/python3 {DIR}/inherited.py"
    expected = f"drop 1\nget 1\nreplace 1\nclaim 1\nlist 0\n{UID} a ram 65536 kept 0\nget 0\n"
    check_eq("a command with the connection", expected, run_in("a", command).stdout)
    check_eq("the other files are there", "b", content_of("b"))
    user = subprocess.Popen([LUOCTL, "run", "a", "--", "/bin/sh", "-c",
                             f"echo; read line; {command}"], env=environment, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    user.stdout.readline()
    first, keeper = keeper, start_keeper()
    first.wait(20)
    check_eq("after the keeper was replaced", expected, user.communicate("\n", timeout=20)[0])

    # A lock is known to a keeper that is started again.
    user = subprocess.Popen([LUOCTL, "run", "a", "--", "/usr/bin/python3", "-c", """
import fcntl, os, sys, time
lock = os.open("/proc/self/fd/3", os.O_RDWR)
fcntl.flock(lock, fcntl.LOCK_EX)
os.close(4)
print(flush=True)
time.sleep(100)"""], env=environment, stdout=subprocess.PIPE)
    user.stdout.readline()
    for what in "without a connection", "nor another keeper":
        for verb in ("run", "a", "--", "/bin/true"), ("drop", "--kept", "a"):
            exits(f"{what}: {verb[0]}", 1, luoctl(*verb), "a process that has locked its memory")
        exits(f"{what}: another name", 0, run_in("b", "true"))
        die(keeper)
        keeper = start_keeper()
    die(user)
    check_eq("it is free again", "a", content_of("a"))

    # One by way of what was handed out, which the keeper has, too, is nobody's in the end.
    run_in("a", "exec /usr/bin/python3 -c 'import fcntl; fcntl.flock(3, fcntl.LOCK_EX)'")
    check_eq("a lock of the file that was handed out", "a", content_of("a"))
    exits("does not keep it from being dropped", 0, luoctl("drop", "--kept", "a"))
    make("a", "a")
    for name in "a", "b":
        luoctl("drop", "--kept", name)
    die(keeper)


# A user who has as many connections as it can.
MANY = f"""
import socket, sys, time
socks = []
for i in range(70):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect("{DIR}/socket")
    socks.append(s)
    if sys.argv[1] == "claim":
        try:
            s.send(b"luo-keeper 1\\0claim\\0%s\\0n%d\\0" % (sys.argv[2].encode(), i))
            s.recv(1000)
        except OSError:
            pass
print("done", flush=True)
time.sleep(100)
"""


def crowded():
    """Users with all connections that they can have."""
    if UID:
        return
    for what in "connect", "claim":
        keeper = start_keeper()
        users = [subprocess.Popen(["/usr/bin/python3", "-c", MANY, what, str(USER + i)],
                                  user=USER + i, stdout=subprocess.PIPE) for i in range(17)]
        for user in users:
            user.stdout.readline()
        check(f"{what}: the table is full", eventually(
            lambda: 880 < len(os.listdir(f"/proc/{keeper.pid}/fd")) < 960),
              len(os.listdir(f"/proc/{keeper.pid}/fd")))
        exits(f"{what}: root gets in", 0, luoctl("list", "--kept"))
        if what == "connect":
            exits(f"{what}: so does another user", 0, luoctl("list", "--kept", user=USER + 100))
        for user in users:
            die(user)
        exits(f"{what}: another user gets in later", 0,
              luoctl("list", "--kept", user=USER + 100))
        die(keeper)


def lingering():
    """A socket whose last close() waits, and with it what keeps it waiting."""
    listener = socket.create_server(("127.0.0.1", 0))
    sock = socket.create_connection(listener.getsockname())
    other, _ = listener.accept()
    listener.close()
    sock.setblocking(False)
    try:
        while True:
            sock.send(bytes(65536))
    except BlockingIOError:
        pass
    sock.setblocking(True)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 30))
    fd = sock.detach()
    return fd, other


def closes():
    """Files of clients that hang when they are closed."""
    keeper = start_keeper()
    make("a", "content")
    others = []

    def answers(what):
        begin_at = time.monotonic()
        exits(what, 0, luoctl("list", "--kept"))
        check(f"{what}: at once", time.monotonic() - begin_at < 2)

    for verb in "put", "list":
        fd, other = lingering()
        others.append(other)
        sock = raw()
        # One that the kernel of this test need not close.
        words = ("put", UID, "x") if verb == "put" else ("list",)
        data = b"".join(str(word).encode() + b"\0" for word in ("luo-keeper 1", *words))
        socket.send_fds(sock, [data], [fd])
        os.close(fd)
        sock.recv(1000)
        answers(f"a file that hangs with {verb}")

    # Not read, and empty but for the file.
    fd, other = lingering()
    others.append(other)
    sock = raw()
    keeper.send_signal(signal.SIGSTOP)
    sock.send(b"")
    socket.send_fds(sock, [b""], [fd])
    os.close(fd)
    sock.close()
    keeper.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    answers("a file without a request")

    # More files than a request can have.
    fd, other = lingering()
    others.append(other)
    sock = raw()
    socket.send_fds(sock, [b"luo-keeper 1\0list\0"], [0] * 200 + [fd])
    os.close(fd)
    check_eq("too many files", str(errno.EBADMSG), sock.recv(1000).split(b"\0")[0].decode())
    answers("too many files")

    # Not read, as the client reads no replies.
    fd, other = lingering()
    others.append(other)
    deaf = raw()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    keeper.send_signal(signal.SIGSTOP)
    deaf.settimeout(0.2)
    sent = 0
    try:
        while sent < 2000:
            socket.send_fds(deaf, [b"luo-keeper 1\0get\0%d\0none\0" % UID],
                            [fd] if sent > 600 else [])
            sent += 1
    except OSError:
        pass
    os.close(fd)
    keeper.send_signal(signal.SIGCONT)
    check("many requests are sent", sent > 610, sent)
    time.sleep(0.5)
    answers("what is not read")
    deaf.close()
    answers("and closed")
    check_eq("nothing is lost", "content", content_of("a"))
    for other in others:
        other.close()
    luoctl("drop", "--kept", "a")
    die(keeper)


def hanging():
    keeper = start_keeper()
    idle = [raw() for _ in range(200)]
    deaf = raw()
    deaf.settimeout(0.2)
    try:
        for _ in range(100000):
            deaf.send(b"luo-keeper 1\0get\0%d\0none\0" % UID)
    except OSError:
        pass
    exits("clients that hang", 0, run_in("a", "echo kept >&3", "--memfd", "ram=4K"))
    chance = random.Random(1)
    for _ in range(300):
        sock = raw()
        data = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 200)))
        if chance.random() < 0.7:
            words = [chance.choice(["claim", "get", "put", "drop", "list", "none", "", str(UID),
                                    "a", "ram", "7", "-1", "4294967295", "x" * 300])
                     for _ in range(chance.randrange(6))]
            data = b"luo-keeper 1\0" + b"".join(w.encode() + b"\0" for w in words)
            data = data if b"\0drop\0" not in data else data[:-1]
        if chance.random() < 0.05:
            data = data.ljust(9000, b"\0")
        files = [os.open("/dev/null", os.O_RDWR) for _ in range(chance.randrange(8))]
        socket.send_fds(sock, [data], files)
        for fd in files:
            os.close(fd)
        sock.close()
    check_eq("after packets that are none", "kept\n",
             run_in("a", "head -n 1 /proc/self/fd/3").stdout)
    check("the keeper has closed what came with them", eventually(
        lambda: len(os.listdir(f"/proc/{keeper.pid}/fd")) < 300), os.listdir(
            f"/proc/{keeper.pid}/fd"))
    sock = raw()
    check_eq("more files than names", str(errno.EINVAL),
             ask(sock, "put", UID, "p", "one", fds=[memfd(), memfd()])[0][0])
    check_eq("more names than files", str(errno.EINVAL),
             ask(sock, "put", UID, "p", "one", "two", fds=[memfd()])[0][0])
    check_eq("no files", str(errno.EINVAL), ask(sock, "put", UID, "p")[0][0])
    check_eq("only what was put is kept", [(UID, "a", "ram")], list(kept()))
    for sock in idle:
        sock.close()
    luoctl("drop", "--kept", "a")
    die(keeper)


def kexec_after(keeper):
    """Kill it, as nothing else survives, and boot another kernel."""
    check("kexec", kernel.kexec())
    die(keeper)
    manager.clear()


def make(name, content):
    exits(f"make {name}", 0, run_in(name, f"echo {content} >&3", "--memfd", "ram=64K"))


def content_of(name):
    return run_in(name, "head -n 1 /proc/self/fd/3").stdout.strip()


def kexec():
    keeper = start_keeper()
    for i in range(5):
        make(f"vm{i}", f"content{i}")
    run_in("order", "true", "--memfd", "b=4K", "--memfd", "a=4K", "--memfd", "c=4K")
    for i in range(3):
        kexec_after(keeper)
        keeper = start_keeper()
        check_eq("the files are in the same order", "b:a:c\n",
                 run_in("order", "echo $LISTEN_FDNAMES").stdout)
        check_eq("all is there after a kexec", [f"content{i}" for i in range(5)],
                 [content_of(f"vm{i}") for i in range(5)])
        check_eq("the old sessions are finished", {}, kernel.incoming)
        check_eq("new ones are there", 8, len(kernel.names()))
    luoctl("drop", "--kept", "order")

    # What cannot be taken over yet is not taken for something that is not there.
    kexec_after(keeper)
    kernel.errors = {"preserve": errno.ENOMEM}
    keeper = start_keeper()
    check_eq("it is listed", {(0, "missing")}, set(kept().values()))
    exits("it cannot be had", 1, run_in("vm0", "true", "--memfd", "ram=64K"),
          "cannot be had now")
    exits("nor dropped", 1, luoctl("drop", "--kept", "vm0"), "is not taken over")
    check("no kexec loses it", not kernel.kexec())
    kernel.errors = {}
    check("it is taken over later", eventually(lambda: content_of("vm0") == "content0"))
    check("all of it", eventually(lambda: set(kept().values()) == {(65536, "kept")}))
    check_eq("the old sessions are finished", {}, kernel.incoming)

    kexec_after(keeper)
    kernel.holds_device = True
    keeper = start_keeper()
    begin_at = time.monotonic()
    exits("the device is in use: it cannot be had", 1, run_in("vm0", "true"), "cannot be had")
    for _ in range(5):
        run_in("vm0", "true")
    check("nobody waits for that", time.monotonic() - begin_at < 4)
    kernel.holds_device = False
    check_eq("it is taken over when it is asked for", "content0", content_of("vm0"))
    for i in range(5):
        luoctl("drop", "--kept", f"vm{i}")
    check_eq("all of it can be dropped", ([], {}), (kernel.names(), kept()))
    die(keeper)


def lists():
    """Lists of the kernel that cannot be read, or not in full."""
    keeper = start_keeper()
    make("vm", "content")
    for garbage in "session files 1\n", "file token 1\n", "rest state busy name x\n":
        kexec_after(keeper)
        kernel.garbage = garbage
        if not garbage.startswith("session"):
            kernel.incoming, held = {}, kernel.incoming
        kernel.write_lists()
        keeper = start_keeper()
        check(f"the keeper does not end for a list with {garbage!r}", keeper.poll() is None)
        exits("it hands nothing out", 1, run_in("vm", "true", "--memfd", "ram=64K"),
              "not known yet")
        if not garbage.startswith("session"):
            kernel.incoming = held
        kernel.garbage = ""
        kernel.write_lists()
        check_eq("it does when it can be read", "content", content_of("vm"))
    # One file of two is listed.
    fd = memfd(b"state")
    exits("put", 0, luoctl("put", "vm", f"state={fd}", pass_fds=[fd]))
    os.close(fd)
    kexec_after(keeper)
    kernel.errors = {"read": errno.ENOMEM}
    kernel.unread = {f"keeper/{UID}/vm/state"}
    kernel.write_lists()
    keeper = start_keeper()
    check_eq("one of two files is known", [(UID, "vm", "ram")], list(kept()))
    exits("it is not handed out alone", 1, run_in("vm", "true"), "not known yet")
    exits("nor to claim it for new files", 1, run_in("vm", "true", "--memfd", "new=4K"),
          "not known yet")
    kernel.errors = {}
    check_eq("the keeper has the kernel read on", "ram:state\n",
             run_in("vm", "echo $LISTEN_FDNAMES").stdout)
    luoctl("drop", "--kept", "vm")
    die(keeper)


def damaged():
    """A file of two does not arrive: nothing begins anew because of that."""
    keeper = start_keeper()
    make("vm", "content")
    fd = memfd(b"state")
    exits("put", 0, luoctl("put", "vm", f"state={fd}", pass_fds=[fd]))
    kernel.damaged = {f"keeper/{UID}/vm/state"}
    for what in "damaged", "restarted", "the kernel after it":
        if what == "restarted":
            die(keeper)
        else:
            kexec_after(keeper)
        if what == "the kernel after it":
            kernel.damaged = set()
        keeper = start_keeper()
        check_eq(f"{what}: it is listed", {(UID, "vm", "ram"): (65536, "kept"),
                                           (UID, "vm", "state"): (0, "lost")}, kept())
        exits(f"{what}: the other is not handed out", 1, run_in("vm", "true"),
              "state of vm was damaged")
        exits(f"{what}: nor is there another", 1,
              luoctl("put", "vm", f"state={fd}", pass_fds=[fd]))
        check_eq(f"{what}: both have sessions", 2, len(kernel.names()))
    exits("it can be given up", 0, luoctl("drop", "--kept", "vm", "state"))
    check_eq("the other is handed out", "content", content_of("vm"))

    # The kernel lists a damaged session to its end.
    make("vm2", "content2")
    exits("put", 0, luoctl("put", "vm2", f"state={fd}", pass_fds=[fd]))
    os.close(fd)
    kernel.damaged = {f"keeper/{UID}/vm2/state"}
    kexec_after(keeper)
    keeper = start_keeper()
    check("it is lost", kept().get((UID, "vm2", "state")) == (0, "lost"), kept())
    exits("it can be given up", 0, luoctl("drop", "--kept", "vm2", "state"))
    for what in "killed", "replaced":
        if what == "killed":
            die(keeper)
            keeper = start_keeper()
        else:
            first, keeper = keeper, start_keeper()
            first.wait(20)
        check_eq(f"{what}: it does not come back", "content2", content_of("vm2"))
    check("the kernel has it", f"keeper/{UID}/vm2/state" in kernel.incoming)
    kernel.damaged = set()
    kernel.incoming = {}
    for name in "vm", "vm2":
        luoctl("drop", "--kept", name)
    check_eq("nothing is left", ({}, []), (kept(), kernel.names()))
    die(keeper)


def killed():
    keeper = start_keeper()
    make("vm0", "content0")
    make("vm1", "content1")
    kernel.min_outgoing = len(kernel.names())
    for _ in range(3):
        die(keeper)
        keeper = start_keeper()
        check_eq("killed and started again", ["content0", "content1"],
                 [content_of("vm0"), content_of("vm1")])
    check_eq("there was a session all the time", 2, kernel.min_outgoing)

    # In each step of taking something over, before and after the kernel has done it.
    lost = []
    for after in False, True:
        for step in range(1, 16):
            kexec_after(keeper)
            kernel.nr_ops, kernel.kill_at, kernel.kill_after = 0, step, after
            first = start_keeper()
            first.poll()
            if kernel.kill_at is not None:
                kernel.kill_at = None
                keeper = first
                break
            first.wait()
            keeper = start_keeper()
            contents = [content_of("vm0"), content_of("vm1")]
            if contents != ["content0", "content1"] or kernel.incoming or \
                    len(kernel.names()) != 2:
                lost.append((step, after, contents))
    check("killed while it takes over", not lost, lost)
    check("in each of more than ten steps", step > 10, step)

    # While a client puts something: if it was told that it is kept, it is.
    lost = []
    for step in range(1, 5):
        for after in False, True:
            kernel.nr_ops, kernel.kill_at, kernel.kill_after = 0, step, after
            put = run_in("new", "true", "--memfd", "ram=4K").returncode
            died = kernel.kill_at is None
            kernel.kill_at = None
            if died:
                keeper.wait()
                keeper = start_keeper()
            there = (UID, "new", "ram") in kept()
            if put == 0 and not there or len(kernel.names()) != 2 + there:
                lost.append((step, after, put, there, kernel.names()))
            luoctl("drop", "--kept", "new")
    check("killed while something is put", not lost, lost)
    check_eq("the others are there", ["content0", "content1"],
             [content_of("vm0"), content_of("vm1")])
    return keeper


def replaced(keeper):
    user = use_for_long("vm0")
    exits("it is in use", 1, run_in("vm0", "true"), "in use by process")
    kernel.min_outgoing = len(kernel.names())
    for i in range(3):
        new = start_keeper(managed=i != 1)
        check_eq("a second keeper replaces the first", 0, keeper.wait(20))
        keeper = new
        check_eq("all is there", "content1", content_of("vm1"))
        exits("it is still in use", 1, run_in("vm0", "true"), "in use by process")
    die(user)
    check_eq("and is there", "content0", content_of("vm0"))

    news = [start_keeper(wait=False) for _ in range(4)]
    check("of many keepers one is left", eventually(
        lambda: [keeper.poll() for keeper in [keeper] + news].count(None) == 1))
    keeper = [new for new in news if new.poll() is None]
    check_eq("no other has failed", {0}, {new.wait() for new in news if new not in keeper})
    check_eq("the last one has all", ["content0", "content1"],
             [content_of("vm0"), content_of("vm1")])
    check_eq("there was a session all the time", 2, kernel.min_outgoing)
    keeper = keeper[0]

    # New ones that do not do their part.
    for what, words, waits in (("says something else", b"x\0", True),
                               ("says too much", b"done\0done\0", True),
                               ("ends when it has all", b"done\0", False),
                               ("says nothing", None, True)):
        sock = raw()
        sock.send(b"luo-keeper 1\0replace\0")
        while True:
            data, fds, _, _ = socket.recv_fds(sock, 8192, 64)
            for fd in fds:
                os.close(fd)
            if data.endswith(b"end\0") or not data:
                break
        if not waits:
            # Nothing of it is scheduled in between.
            keeper.send_signal(signal.SIGSTOP)
        if words:
            sock.send(words)
        if waits:
            check_eq(f"a new keeper {what}: it is told nothing", b"", sock.recv(100))
        sock.close()
        keeper.send_signal(signal.SIGCONT)
        time.sleep(0.2)
        check(f"a new keeper {what}: the old one goes on", keeper.poll() is None)
        check_eq(f"a new keeper {what}: nothing is lost", "content0", content_of("vm0"))
    check_eq("there was a session all the time", 2, kernel.min_outgoing)

    # One that hangs.
    keeper.send_signal(signal.SIGSTOP)
    new = start_keeper(wait=False)
    check_eq("a keeper that hangs is not replaced", 1, new.wait(60))
    keeper.send_signal(signal.SIGCONT)
    check_eq("it has lost nothing", "content0", content_of("vm0"))
    die(keeper)
    check_eq("nothing is left without one", 1, run_in("vm0", "true").returncode)

    # Old ones that do not end.
    for what, end in (("closes the connection", "conn.close()"),
                      ("says nothing", ""),
                      ("says something else", 'conn.send(b"x\\0")')):
        manager.clear()
        old = subprocess.Popen(["/usr/bin/python3", "-c", OLD_KEEPER + end + """
print("done", flush=True)
time.sleep(100)
""", DIR], stdout=subprocess.PIPE, text=True)
        old.stdout.readline()
        new = start_keeper(wait=False)
        check_eq(f"an old keeper {what}: the new one ends", 1, new.wait(30))
        check(f"an old keeper {what}: it is left alone", old.poll() is None)
        die(old)


OLD_KEEPER = """
import fcntl, os, socket, sys, time
path = sys.argv[1] + "/socket"
lock = os.open(path + ".lock", os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
if os.path.exists(path):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(path)
listener.listen()
print("listens", flush=True)
conn, _ = listener.accept()
conn.recv(100)
socket.send_fds(conn, [b"0\\0"],
                [lock, listener.fileno(), os.pidfd_open(os.getpid())])
conn.send(b"0\\0end\\0")
conn.recv(100)
"""


def begin():
    global kernel, manager, log
    subprocess.run(["rm", "-rf", DIR], check=True)
    os.makedirs(DIR)
    # Users other than root have to come in.
    os.chmod(DIR, 0o755)
    log = open(DIR + "/log", "a")
    os.umask(0o022)
    kernel, manager = Kernel(), Manager()


def main():
    begin()
    without_keeper()
    signals(use())
    errors()
    users()
    inherited()
    crowded()
    closes()
    hanging()
    kexec()
    lists()
    damaged()
    replaced(killed())
    sys.exit(failed)


if __name__ == "__main__":
    main()

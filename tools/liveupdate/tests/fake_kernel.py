# SPDX-License-Identifier: GPL-2.0-only
"""The kernel that keeper.py makes up: /dev/liveupdate, sessions, and what sysfs says of them."""
import errno
import os
import selectors
import signal
import socket
import sys
import threading

DIR = os.path.abspath(sys.argv[2])
SYSFS = DIR + "/sysfs"


def inode(fd):
    stat = os.fstat(fd)
    return stat.st_dev, stat.st_ino


class Session:
    def __init__(self, name):
        self.name = name
        self.files = {}
        self.retrieved = set()
        self.claimed = False


class Kernel(threading.Thread):
    """What is behind /dev/liveupdate. A session is a connection."""

    def __init__(self):
        super().__init__(daemon=True)
        self.lock = threading.RLock()
        self.outgoing, self.incoming = {}, {}
        self.device = None
        self.errors = {}        # operation: errno for each call from now on
        self.kill_at = None     # number of the operation that kills who has the device open
        self.kill_after = False
        self.nr_ops = 0
        self.min_outgoing = 0
        self.holds_device = False
        self.garbage = ""       # more lines in the lists
        self.damaged = set()    # sessions that arrive damaged
        self.unread = set()     # incoming sessions that there was no memory to read
        self.selector = selectors.DefaultSelector()
        self.path = DIR + "/luo"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen(100)
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        os.makedirs(SYSFS + "/incoming")
        os.makedirs(SYSFS + "/outgoing")
        self.write_lists()
        self.start()

    def run(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    sock, _ = self.listener.accept()
                    self.selector.register(sock, selectors.EVENT_READ, ("device", None))
                else:
                    with self.lock:
                        # It may have been reaped.
                        if key.fileobj.fileno() >= 0:
                            self.serve(key.fileobj, *key.data)

    def serve(self, sock, kind, session):
        try:
            data, fds, _, _ = socket.recv_fds(sock, 8192, 64)
        except OSError:
            data, fds = b"", []
        if not data:
            self.closed(sock, kind, session)
            return
        words = data.decode().split("\0")[:-1]
        self.reap()
        if words[0] == "open":
            peer = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            self.opened_by = int.from_bytes(peer[:4], sys.byteorder)
        self.nr_ops += words[0] not in ("open", "name")
        dies = self.kill_at is not None and words[0] != "name" and self.nr_ops >= self.kill_at
        if dies and not self.kill_after:
            self.kill_at = None
            os.kill(self.opened_by, signal.SIGKILL)
        else:
            result = self.errors.get(words[0]) or self.call(sock, kind, session, words, fds)
            self.write_lists()
            if dies:
                self.kill_at = None
                os.kill(self.opened_by, signal.SIGKILL)
            self.answer(sock, result)
        for fd in fds:
            os.close(fd)
        self.write_lists()

    def reap(self):
        """What is closed goes at once, as far as others can see."""
        for key in list(self.selector.get_map().values()):
            if not key.data:
                continue
            try:
                gone = not key.fileobj.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                gone = False
            except OSError:
                gone = True
            if gone:
                self.closed(key.fileobj, *key.data)

    def names(self):
        with self.lock:
            self.reap()
            return list(self.outgoing)

    def answer(self, sock, result):
        fds = []
        text = "0"
        if isinstance(result, int):
            text = str(result)
        elif isinstance(result, str):
            text = "0\0" + result
        elif isinstance(result, list):
            fds = result
        try:
            socket.send_fds(sock, [text.encode() + b"\0"], [getattr(fd, "fileno", lambda: fd)()
                                                            if not isinstance(fd, int) else fd
                                                            for fd in fds])
        except OSError:
            pass

    def closed(self, sock, kind, session):
        self.selector.unregister(sock)
        sock.close()
        if kind == "device":
            if self.device is sock:
                self.device = None
        elif kind == "outgoing":
            if self.outgoing.get(session.name) is session:
                del self.outgoing[session.name]
                for fd in session.files.values():
                    os.close(fd)
                self.min_outgoing = min(self.min_outgoing, len(self.outgoing))
        elif self.incoming.get(session.name) is session:
            session.claimed = False
            if len(session.retrieved) == len(session.files):
                self.finish(session)
        self.write_lists()

    def finish(self, session):
        del self.incoming[session.name]
        for fd in session.files.values():
            os.close(fd)
        session.files = {}

    def new_session(self, kind, session):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.selector.register(ours, selectors.EVENT_READ, (kind, session))
        return [theirs]

    def call(self, sock, kind, session, words, fds):
        verb, name = words[0], words[1] if len(words) > 1 else ""
        token = int(words[2]) if len(words) > 2 else 0
        if verb == "open":
            if self.device or self.holds_device:
                return errno.EBUSY
            self.device = sock
            return 0
        if verb == "name":
            return session.name if session else errno.ENOTTY
        if verb == "create":
            if name in self.outgoing:
                return errno.EEXIST
            self.outgoing[name] = Session(name)
            return self.new_session("outgoing", self.outgoing[name])
        if verb == "retrieve":
            if name not in self.incoming or name in self.unread:
                if self.errors.get("read"):
                    return self.errors["read"]
                self.unread = set()
            if name not in self.incoming:
                return errno.ENOENT
            if name in self.damaged:
                return errno.EBADMSG
            if self.incoming[name].claimed:
                return errno.EINVAL
            self.incoming[name].claimed = True
            return self.new_session("incoming", self.incoming[name])
        if verb == "preserve":
            if not os.readlink(f"/proc/self/fd/{fds[0]}").startswith("/memfd:"):
                return errno.ENOENT
            if token in session.files:
                return errno.EEXIST
            if any(inode(fd) == inode(fds[0]) for other in self.outgoing.values()
                   for fd in other.files.values()):
                return errno.EBUSY
            session.files[token] = os.dup(fds[0])
            return 0
        if verb == "retrieve_fd":
            if token not in session.files:
                return errno.ENOENT
            session.retrieved.add(token)
            return [session.files[token]]
        if verb == "finish":
            if self.incoming.get(session.name) is not session:
                return errno.EINVAL
            self.finish(session)
            return 0
        return errno.ENOTTY

    def write_lists(self):
        with self.lock:
            self.write_lists_locked()

    def write_lists_locked(self):
        for side, sessions in ("incoming", self.incoming), ("outgoing", self.outgoing):
            text = ""
            for session in sessions.values():
                if session.name in self.unread and side == "incoming":
                    continue
                state = "damaged" if session.name in self.damaged else \
                    "claimed" if session.claimed else "unclaimed"
                state = f"retrieved {len(session.retrieved)} state {state} "
                text += f"session files {len(session.files)} " \
                        f"{state if side == 'incoming' else ''}name {session.name}\n"
            text += self.garbage
            for name, value in ("sessions", text), ("nr_sessions", f"{len(sessions)}\n"):
                with open(f"{SYSFS}/{side}/.new", "w") as file:
                    file.write(value)
                os.rename(f"{SYSFS}/{side}/.new", f"{SYSFS}/{side}/{name}")

    def kexec(self):
        """Hand over: the next kernel has other files, with the same content."""
        with self.lock:
            self.reap()
            if any(name not in self.damaged for name in self.incoming):
                return False
            self.incoming = {}
            for name, session in self.outgoing.items():
                new = Session(name)
                for token, fd in session.files.items():
                    new.files[token] = os.memfd_create("luo")
                    size = os.fstat(fd).st_size
                    os.ftruncate(new.files[token], size)
                    os.pwrite(new.files[token], os.pread(fd, size, 0), 0)
                self.incoming[name] = new
            for key in list(self.selector.get_map().values()):
                if key.data and key.data[1]:
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()
            for session in self.outgoing.values():
                for fd in session.files.values():
                    os.close(fd)
            self.outgoing = {}
            self.write_lists()
            return True

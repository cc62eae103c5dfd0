# Tries what a service has no business with, and what it needs. Writes a JSON object: what was tried, and "done" or why not.
#
#   python3 probe.py RESULT STATE PORT SOURCE
#
# RESULT is a file or -, STATE the state directory, PORT one that somebody listens on, SOURCE the file of the secret.

import ctypes
import errno
import json
import mmap
import os
import socket
import subprocess
import sys

RESULT, STATE, PORT, SOURCE = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
LIBC = ctypes.CDLL(None, use_errno=True)
results = {}


def tried(name, act):
    try:
        act()
        results[name] = "done"
    except OSError as error:
        results[name] = errno.errorcode.get(error.errno, str(error))
    except Exception as error:
        results[name] = f"{type(error).__name__}: {error}"


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def read(path):
    with open(path, "rb") as file:
        file.read(1)


def write(path):
    with open(path, "w") as file:
        file.write("x")
    os.unlink(path)


def listed(path):
    if not os.listdir(path):
        raise FileNotFoundError(errno.ENOENT, path)


def opened(family, kind=socket.SOCK_DGRAM, protocol=0):
    socket.socket(family, kind, protocol).close()


def seen(pid):
    read(f"/proc/{pid}/comm")


def others():
    mine = os.getuid()
    for name in os.listdir("/proc"):
        if name.isdigit() and os.stat(f"/proc/{name}").st_uid != mine:
            return
    raise PermissionError(errno.EPERM, "processes of others")


def became_root():
    said = subprocess.run(["/srv/public/id-as-root", "--user"], capture_output=True, text=True)
    if said.stdout.strip() != "0":
        raise PermissionError(errno.EPERM, said.stdout + said.stderr)


def runnable_memory():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def set_uid_file():
    path = f"{STATE}/.probe"
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    try:
        os.chmod(path, 0o4755)
    finally:
        os.unlink(path)


def state():
    write(f"{STATE}/.probe")
    listed(STATE)


def in_a_child(act):
    child = os.fork()
    if child == 0:
        code = 0
        try:
            act()
        except OSError as error:
            code = error.errno
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 0:
        raise OSError(code, "in a child")


def connected():
    socket.create_connection(("127.0.0.1", PORT), 10).close()


CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000

# What the service has no business with. Everybody may do the first ones on this host, so that only the sandbox forbids them.
tried("read in /home", lambda: read("/home/alice/notes"))
tried("list /home", lambda: listed("/home"))
tried("read in /root", lambda: read("/root/notes"))
tried("read a recording below /root", lambda: read("/root/.jitsi-meet-cfg/storage/jibri/recordings/recording.mp4"))
tried("write in /srv", lambda: write("/srv/public/note"))
tried("write in recordings", lambda: write("/var/recordings/note"))
tried("write in another state", lambda: write("/var/lib/open/note"))
tried("see files in /tmp", lambda: read("/tmp/note"))
tried("read /etc/shadow", lambda: read("/etc/shadow"))
tried("read the secret's source", lambda: read(SOURCE))
tried("write in /etc", lambda: write("/etc/note"))
tried("write in /usr", lambda: write("/usr/note"))
tried("see the first process", lambda: seen(1))
tried("see others' processes", others)
tried("read the kernel's settings", lambda: read("/proc/sys/kernel/hostname"))
tried("become root by a program", became_root)
tried("become root by a call", lambda: os.setuid(0) if os.getuid() else None)
tried("make a set-user-id file", set_uid_file)
tried("memory that is written and run", runnable_memory)
tried("packet sockets", lambda: opened(socket.AF_PACKET, socket.SOCK_RAW))
tried("netlink sockets", lambda: opened(socket.AF_NETLINK, socket.SOCK_RAW))
tried("raw sockets", lambda: opened(socket.AF_INET, socket.SOCK_RAW, 1))
tried("a namespace of users", lambda: in_a_child(lambda: call("unshare", CLONE_NEWUSER)))
tried("a namespace of networks", lambda: in_a_child(lambda: call("unshare", CLONE_NEWNET)))
tried("mount", lambda: in_a_child(lambda: call("mount", b"none", b"/mnt", b"tmpfs", 0, None)))
tried("another root directory", lambda: in_a_child(lambda: os.chroot("/")))
tried("the host's name", lambda: socket.sethostname(socket.gethostname()))
tried("a device", lambda: os.mknod(f"{STATE}/.device", 0o600 | 0o020000, os.makedev(1, 3)))
tried("old behaviours of the kernel", lambda: in_a_child(lambda: call("personality", 0x0040000)))

# What it needs.
tried("state", state)
tried("a connection", connected)
tried("Unix sockets", lambda: opened(socket.AF_UNIX))
if "CREDENTIALS_DIRECTORY" in os.environ:
    tried("its secret", lambda: read(os.environ["CREDENTIALS_DIRECTORY"] + "/secret"))
tried("remove from the spool", lambda: os.unlink("/var/spool/reflector-agent/prosody/probe.jsonl"))
tried("read a recording of Jibri's group", lambda: read("/var/recordings/session/recording.mp4"))

with (sys.stdout if RESULT == "-" else open(RESULT, "w")) as file:
    json.dump(results, file)

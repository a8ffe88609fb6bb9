"""A PostgreSQL server of one's own: a loopback port, temporary files, its default settings (fsync on)."""

import glob
import os
import pwd
import shutil
import subprocess
import tempfile
import time

from phi_bench import free_port


def programs_of_postgres():
    """Where initdb and its like are; empty: there is no server here."""
    return max(glob.glob("/usr/lib/postgresql/*/bin"), default="", key=lambda path: int(path.split("/")[4]))


class PostgresServer:
    def __init__(self, *settings):
        """More lines of its configuration may be given."""
        self.bin = programs_of_postgres()
        self.dir = tempfile.mkdtemp(prefix="phi-bench-pg-")
        self.as_user = []
        if os.geteuid() == 0:  # the server refuses to run as root
            self.as_user = ["/usr/sbin/runuser", "-u", "postgres", "--"]
            user = pwd.getpwnam("postgres")
            os.chown(self.dir, user.pw_uid, user.pw_gid)
        self.port = free_port()
        try:
            self.make(settings)
        except BaseException:
            self.close()
            raise

    def make(self, settings):
        self.run("initdb", "--auth=trust", "--username=phi", "--encoding=UTF8", "--locale=C.UTF-8", f"{self.dir}/data")
        with open(f"{self.dir}/data/postgresql.conf", "a") as out:
            out.write(f"listen_addresses='127.0.0.1'\nport={self.port}\nunix_socket_directories='{self.dir}'\n"
                      "max_wal_size=4GB\n" + "".join(line + "\n" for line in settings))
        self.start()

    def run(self, program, *args):
        out = subprocess.run([*self.as_user, f"{self.bin}/{program}", *args], stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True, cwd="/")
        if out.returncode:
            raise SystemExit(f"{program}: {out.stderr}")

    def start(self):
        self.run("pg_ctl", "-D", f"{self.dir}/data", "-l", f"{self.dir}/log", "-w", "-s", "start")

    def stop(self, mode="fast"):
        self.run("pg_ctl", "-D", f"{self.dir}/data", "-m", mode, "-w", "-s", "stop")

    def url(self, database="postgres"):
        return f"postgresql://phi@127.0.0.1:{self.port}/{database}"

    def sql(self, text, database="postgres"):
        return subprocess.run([f"{self.bin}/psql", self.url(database), "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", text],
                              check=True, capture_output=True, text=True).stdout.strip()

    def timed(self, text, database="postgres"):
        """Seconds of a whole psql."""
        began = time.monotonic()
        self.sql(text, database)
        return time.monotonic() - began

    def close(self):
        try:
            self.stop("immediate")
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

"""The servers from Maven artifacts: for machines with Java and Maven, and no container engine."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import config
from tests.servers.errors import UnavailableError
from tests.servers.handles import ElasticsearchServer, KafkaServer, Kind, free_ports
from tests.servers.runners import Process


POM = Path(__file__).with_name("pom.xml")
ROOT = POM.parents[2]
#: Elasticsearch refuses to run as root.
UNPRIVILEGED = "nobody"
#: What bin/elasticsearch ends up calling; the zip has no such script.
LAUNCHER = "org.elasticsearch.server.launcher.ServerLauncher"
JAVA_MIN: dict[Kind, int] = {"kafka": 17, "elasticsearch": 21}
JAVA_PLACES = (
    "/usr/lib/jvm/*/bin/java",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home/bin/java",
    "/opt/*/bin/java",
)


class Maven:
    """Fetches the servers once into a cache folder, and runs them from there."""

    name = "Maven"

    def __init__(self, cache: Path | None = None) -> None:
        """Raise UnavailableError when Maven or a new enough Java is missing.

        ``cache`` defaults to ``.servers`` in the repository, or to a folder under the
        system's temporary one where the user of Elasticsearch could not enter that.
        """
        if shutil.which("mvn") is None:
            raise UnavailableError("no Maven (mvn) on the path")
        self._java = {kind: find_java(least) for kind, least in JAVA_MIN.items()}
        self._cache = cache or default_cache()

    def fetch(self, kind: Kind) -> None:
        """Have *kind* in the cache; UnavailableError when it cannot be downloaded."""
        self._fetched(kind)

    def kafka(self, port: int | None = None) -> KafkaServer:
        """Return a broker with a folder of its own, not yet started."""
        folder = new_folder("kafka")
        free_port, controller_port = free_ports(2)
        port = port or free_port
        properties = config.kafka(port, controller_port, host="127.0.0.1")
        properties["log.dirs"] = str(folder / "data")
        file = folder / "server.properties"
        file.write_text("".join(f"{k}={v}\n" for k, v in properties.items()))
        runner = Process(
            folder, self.kafka_command(file), before=self.kafka_format(file)
        )
        return KafkaServer(runner, port)

    def kafka_command(self, properties: Path) -> list[str]:
        """Return the command that runs a broker by the file *properties*."""
        return [*self._kafka_java(), *config.KAFKA_JVM, "kafka.Kafka", str(properties)]

    def kafka_format(self, properties: Path) -> list[str]:
        """Return the command that prepares that broker's folder."""
        storage = [*self._kafka_java(), "kafka.tools.StorageTool", "format"]
        return [*storage, "-t", config.KAFKA_CLUSTER, "-c", str(properties)]

    def _kafka_java(self) -> list[str]:
        return [self._java["kafka"], "-cp", f"{self._fetched('kafka')}/*"]

    def elasticsearch(self, port: int | None = None) -> ElasticsearchServer:
        """Return a node with a folder of its own, not yet started."""
        home = self._fetched("elasticsearch")
        folder = new_folder("elasticsearch")
        free_port, transport_port = free_ports(2)
        port = port or free_port
        configured = folder / "config"
        shutil.copytree(home / "config", configured)
        scratch = folder / "tmp"
        scratch.mkdir()
        settings = config.elasticsearch() | {
            "http.port": str(port),
            "transport.port": str(transport_port),
            "path.data": str(folder / "data"),
            "path.logs": str(folder / "logs"),
        }
        (configured / "elasticsearch.yml").write_text(
            "".join(f"{k}: {v}\n" for k, v in settings.items())
        )
        java = self._java["elasticsearch"]
        classes = f"{home}/lib/tools/server-launcher/*"
        runner = Process(
            folder,
            [java, "-Xmx64m", "-XX:+UseSerialGC", "-cp", classes, LAUNCHER],
            cwd=home,
            env={
                "JAVA": java,
                "ES_HOME": str(home),
                "ES_PATH_CONF": str(configured),
                "ES_DISTRIBUTION_TYPE": "tar",
                "ES_TMPDIR": str(scratch),
                "HOME": str(scratch),
                "ES_JAVA_OPTS": config.ELASTICSEARCH_JVM,
            },
            user=_give_away(folder) if os.geteuid() == 0 else None,
        )
        return ElasticsearchServer(runner, port)

    def _fetched(self, kind: Kind) -> Path:
        """Return the folder of *kind* for this very pom.xml, complete."""
        version = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
        place = self._cache / f"{kind}-{version}"
        if not place.exists():
            self._cache.mkdir(parents=True, exist_ok=True)
            with _alone(self._cache / ".lock"):
                if not place.exists():
                    _DOWNLOADS[kind](place)
        return place


def find_java(least: int) -> str:
    """Return a Java of version *least* or newer; UnavailableError if there is none."""
    home = os.environ.get("JAVA_HOME")
    named = [f"{home}/bin/java"] if home else []
    on_path = shutil.which("java")
    found = [str(p) for pattern in JAVA_PLACES for p in sorted(_glob(pattern))]
    for java in [*named, *([on_path] if on_path else []), *found]:
        if os.access(java, os.X_OK) and java_version(java) >= least:
            return java
    raise UnavailableError(f"no Java {least} or newer; set JAVA_HOME to one")


def java_version(java: str) -> int:
    """Return the major version of the *java* command; 0 when it does not tell."""
    done = subprocess.run(
        [java, "-version"], check=False, capture_output=True, text=True
    )
    match = re.search(r'version "(\d+)', done.stderr)
    return int(match[1]) if match else 0


def default_cache() -> Path:
    """Return a folder to keep the servers in that Elasticsearch's user can enter."""
    inside = ROOT / ".servers"
    if os.geteuid() != 0 or _is_open(ROOT):
        return inside
    return Path(tempfile.gettempdir()) / "wirewatch-servers"


def new_folder(kind: Kind) -> Path:
    """Make a temporary folder for one server."""
    folder = Path(tempfile.mkdtemp(prefix=f"wirewatch-{kind}-"))
    folder.chmod(0o755)  # Elasticsearch runs as another user when we are root
    return folder


def _is_open(folder: Path) -> bool:
    """Tell whether every user may enter *folder*."""
    return all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))


def _give_away(folder: Path) -> str:
    """Make *folder* the unprivileged user's, whose name is returned."""
    uid = pwd.getpwnam(UNPRIVILEGED).pw_uid
    for place in (folder, *folder.rglob("*")):
        os.chown(place, uid, -1)
    return UNPRIVILEGED


def _glob(pattern: str) -> Iterator[Path]:
    return Path("/").glob(pattern.lstrip("/"))


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Keep other test runs out of the cache meanwhile."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download_kafka(place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        target = Path(scratch, "kafka")
        _mvn("dependency:copy-dependencies", target, "-DincludeScope=runtime")
        target.rename(place)


def _download_elasticsearch(place: Path) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        target = Path(scratch, "unpacked")
        _mvn("dependency:unpack", target)
        (home,) = target.glob("*/elasticsearch")
        home.rename(place)


_DOWNLOADS: dict[Kind, Callable[[Path], None]] = {
    "kafka": _download_kafka,
    "elasticsearch": _download_elasticsearch,
}


def _mvn(goal: str, target: Path, *options: str) -> None:
    words = ["-q", "-B", "-f", str(POM), goal, f"-DoutputDirectory={target}"]
    mvn = shutil.which("mvn")
    assert mvn is not None, "Maven() has looked for it"
    done = subprocess.run(
        [mvn, *words, *options],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise UnavailableError(f"mvn {goal} failed: {done.stdout.strip()[-500:]}")

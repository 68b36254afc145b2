"""Filters of the images role: what its image is made of, and its SBOM."""

import calendar
import email.utils
import hashlib
import json
import re

from packaging.requirements import Requirement

DATE = re.compile(r"^Date: (.+)$", re.MULTILINE)
NEWEST_GLIBC = 41
"""The minor version of Debian 13's glibc, 2.41: wheels for it and all older ones run there."""


def image_requirements(text: str, python: str, machine: str) -> list[str]:
    """Return the locked requirements, one line each with its hashes, that apply to a Python version and a machine.

    pip evaluates markers for the Python that it runs with, which is not the image's.
    """
    environment = {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
    lines = (line.strip() for line in text.replace("\\\n", " ").splitlines())
    found = [line.split(" --hash=") for line in lines if line and not line.startswith("#")]
    kept = []
    for written, *hashes in found:
        requirement = Requirement(written.strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            requirement.marker = None
            kept.append(" ".join([str(requirement), *(f"--hash={each.strip()}" for each in hashes)]))
    return kept


def wheel_options(python: str, machine: str) -> list[str]:
    """Return the options by which pip downloads wheels for a CPython on a machine with Debian 13's glibc."""
    abi = f"cp{python.replace('.', '')}"
    platforms = [f"manylinux_2_{minor}" for minor in range(5, NEWEST_GLIBC + 1)]
    platforms += ["manylinux1", "manylinux2010", "manylinux2014", "linux"]
    return [
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={python}",
        *(f"--abi={each}" for each in (abi, "abi3", "none")),
        *(f"--platform={platform}_{machine}" for platform in platforms),
    ]


def release_epoch(text: str) -> int:
    """Return the date of a Debian archive's release, from its InRelease, in seconds since 1970.

    Raises:
        ValueError: the text is not an InRelease file.
    """
    dated = DATE.search(text)
    moment = email.utils.parsedate(dated[1]) if dated else None
    if moment is None:
        raise ValueError("this is not an InRelease file of a Debian archive: it has no date")
    return calendar.timegm(moment)


def digest_of(value: object, length: int = 16) -> str:
    """Return the beginning of the SHA-256 of data; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:length]


def debian_packages(text: str) -> list[dict[str, str]]:
    """Return the packages of the image's `packages.txt`."""
    rows = (line.split("\t") for line in text.splitlines())
    return [dict(zip(("name", "version", "architecture"), row, strict=True)) for row in rows]


def image_sbom(
    requirements: list[str], packages: list[dict[str, str]], image: dict[str, str]
) -> dict[str, object]:
    """Return an image's SBOM in CycloneDX; `image` has its name, version, revision and suite."""
    debian = [
        {
            "type": "library",
            "name": each["name"],
            "version": each["version"],
            "purl": f"pkg:deb/debian/{each['name']}@{_quoted(each['version'])}"
            f"?arch={each['architecture']}&distro={image['suite']}",
        }
        for each in packages
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": image["name"],
                "name": image["name"],
                "version": image["version"],
            }
        },
        "components": [
            {"bom-ref": each["purl"], **each} for each in [*debian, *map(_python_component, requirements)]
        ],
    }


def _python_component(line: str) -> dict[str, str]:
    requirement = Requirement(line.split(" --hash=")[0])
    name, version = requirement.name.lower().replace("_", "-"), next(iter(requirement.specifier)).version
    return {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}


def _quoted(version: str) -> str:
    """Quote a version for a purl: an epoch's colon may stay, a plus may not."""
    return version.replace("+", "%2B").replace("~", "~")


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, object]:
        """Return the filters by name."""
        return {
            "debian_packages": debian_packages,
            "digest_of": digest_of,
            "image_requirements": image_requirements,
            "image_sbom": image_sbom,
            "release_epoch": release_epoch,
            "wheel_options": wheel_options,
        }

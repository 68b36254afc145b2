#!/usr/bin/python3
"""Certificates of this host; `aisha-certificates --help` tells what it does."""

import sys

sys.path.insert(0, "/usr/local/lib")
from aisha_certificates.main import main

if __name__ == "__main__":
    main()

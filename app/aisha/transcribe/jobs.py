"""The path that jobs in Redis carry; both releases of a roll must find it."""

from aisha.work.jobs import run as run

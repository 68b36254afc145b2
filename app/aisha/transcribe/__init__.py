"""The former place of the jobs' function, now in `aisha.work`: see `JOB_FUNCTION` in `aisha.queue.dispatch`."""

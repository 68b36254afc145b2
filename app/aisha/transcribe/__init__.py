"""Where the function of a job was until `aisha.work`: see `JOB_FUNCTION` in `aisha.queue.dispatch`."""

"""What the bot and the workers count, under the names that Prometheus sees. `docs/metrics.md` lists them all."""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)

UPDATES = Counter("aisha_updates", "Updates committed to the inbox.", ["source"])
DUPLICATES = Counter("aisha_updates_repeated", "Updates that were already in the inbox.")
HANDLED = Counter("aisha_updates_handled", "Updates handled, by result.", ["result"])
STORED_BYTES = Counter("aisha_stored_bytes", "Bytes of recordings written to S3.")
STORED = Counter("aisha_stored", "Recordings stored or refused, by result.", ["result"])
DISPATCHED = Counter("aisha_jobs_dispatched", "Jobs put into a lane of Redis.", ["lane"])
RECONCILED = Counter("aisha_jobs_reconciled", "Jobs found lost and returned to waiting.", ["reason"])
SENT = Counter("aisha_telegram_sent", "Outgoing calls that Telegram answered, by kind.", ["kind"])
ANSWER_SECONDS = Histogram(
    "aisha_answer_seconds", "Time from an update's commit to its answer.", buckets=SECONDS
)
POLL_ERRORS = Counter("aisha_poll_errors", "Calls of getUpdates that failed.", ["reason"])
WEBHOOK_REFUSED = Counter("aisha_webhook_refused", "Posts to the webhook that were refused.", ["reason"])
LEASES = Gauge("aisha_lease_held", "1 if this bot holds the lease, else 0.", ["name"])

JOBS = Counter("aisha_worker_jobs", "Jobs that a work-horse has ended, by result.", ["lane", "result"])
AUDIO_SECONDS = Counter("aisha_worker_audio_seconds", "Seconds of audio recognised.", ["language"])
DECODE_SECONDS = Histogram(
    "aisha_worker_decode_seconds", "Wall time of decoding and recognising one job.", ["lane"], buckets=SECONDS
)
CPU_SECONDS = Counter("aisha_worker_cpu_seconds", "Processor time of work-horses.", ["lane"])
WORKERS = Gauge("aisha_worker_processes", "Workers that run on this host.")

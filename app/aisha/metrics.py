"""What the bot and the workers count, under the names that Prometheus sees. `docs/metrics.md` lists them all."""

from prometheus_client import Counter, Gauge, Histogram

SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800)

UPDATES = Counter("aisha_updates", "Updates committed to the inbox.", ["source"])
DUPLICATES = Counter("aisha_updates_repeated", "Updates that had been committed before.")
HANDLED = Counter("aisha_updates_handled", "Updates handled, by result.", ["result"])
STORED_BYTES = Counter("aisha_stored_bytes", "Bytes of recordings brought to object storage.")
STORED = Counter("aisha_stored", "Recordings stored or refused, by result.", ["result"])
DISPATCHED = Counter("aisha_jobs_dispatched", "Jobs given to Redis.", ["lane"])
RECONCILED = Counter("aisha_jobs_reconciled", "Jobs returned to the queue after a loss.", ["reason"])
SENT = Counter("aisha_telegram_sent", "Outgoing calls that Telegram answered, by kind.", ["kind"])
ANSWER_SECONDS = Histogram("aisha_answer_seconds", "From an update's commit to its answer.", buckets=SECONDS)
POLL_ERRORS = Counter("aisha_poll_errors", "Calls of getUpdates that failed.", ["reason"])
WEBHOOK_REFUSED = Counter("aisha_webhook_refused", "Posts to the webhook that were not taken.", ["reason"])
LEASES = Gauge("aisha_lease_held", "1 where this bot holds the lease.", ["name"])

JOBS = Counter("aisha_worker_jobs", "Jobs that a work-horse ended, by result.", ["lane", "result"])
AUDIO_SECONDS = Counter("aisha_worker_audio_seconds", "Seconds of audio recognised.", ["language"])
DECODE_SECONDS = Histogram(
    "aisha_worker_decode_seconds", "Wall time of decoding and recognising one job.", ["lane"], buckets=SECONDS
)
CPU_SECONDS = Counter("aisha_worker_cpu_seconds", "Processor time of work-horses.", ["lane"])
WORKERS = Gauge("aisha_worker_processes", "RQ workers that run on this host.")

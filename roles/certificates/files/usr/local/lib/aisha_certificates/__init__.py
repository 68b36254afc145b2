"""Certificates of a host: install them, renew them, notify their users, and check them.

1. `apply`, for the role: reads JSON with what the control machine knows (our own CA, certificates it was given or has
   signed), does everything that is due, and prints JSON, with requests for what only our CA can sign.
2. `renew`, for the timer: renews what is due from the ACME server, runs pending hooks, writes metrics, warns.
3. `check`: reports what is wrong with the installed certificates.

A certificate is a folder, /etc/aisha/tls/NAME, which is a link to a generation of it: certificate, key and CA are
replaced together by renaming the link. The generation that users were last notified of is recorded after the hook,
so that the next run completes an interrupted one.
"""
